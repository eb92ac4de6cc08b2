package org.tessera.guide;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tessera.guide.Expression.Call;
import org.tessera.guide.Expression.Member;
import org.tessera.guide.Expression.Rule;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * JSON Schema to a grammar all of whose texts are valid under the schema. Not every valid text is
 * among them: properties come in the schema's order, those that it does not name only where {@code
 * additionalProperties} asks for them or no property is named, all of {@code prefixItems} are
 * there, and a schema that only constrains one type gives that type. Of the values that {@code
 * additionalProperties} lets in two may have the same name. {@code oneOf} is taken as {@code
 * anyOf}: its options should exclude each other. A keyword that is not supported is refused by
 * name.
 */
final class SchemaCompiler {
  private static final Set<String> STRING_KEYWORDS =
      Set.of("minLength", "maxLength", "pattern", "format");
  private static final Set<String> NUMBER_KEYWORDS =
      Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum");
  private static final Set<String> OBJECT_KEYWORDS =
      Set.of("properties", "required", "additionalProperties");
  private static final Set<String> ARRAY_KEYWORDS =
      Set.of("items", "prefixItems", "minItems", "maxItems", "uniqueItems");
  private static final List<String> TYPES =
      List.of("null", "boolean", "object", "array", "number", "integer", "string");

  /** Longer names would make the search for other names recurse too deeply. */
  private static final int MAX_NAME_CHARACTERS = 256;

  private static final int MAX_DEPTH = 200;

  private final SchemaSource source;
  private final Map<String, Rule> rules = new HashMap<>();
  private final Deque<String> undefined = new ArrayDeque<>();
  private int depth;

  private SchemaCompiler(SchemaSource source) {
    this.source = source;
  }

  /**
   * The grammar of a schema.
   *
   * @param schema JSON Schema, in the words of draft 2020-12
   * @throws org.tessera.error.InvalidRequestException where it is not JSON, too large or holds a
   *     keyword that is not supported
   */
  static Expression compile(String schema) {
    SchemaCompiler compiler = new SchemaCompiler(SchemaSource.parse(schema));
    Expression root = compiler.reference("#");
    while (!compiler.undefined.isEmpty()) {
      String pointer = compiler.undefined.remove();
      Rule rule = compiler.rules.get(pointer);
      if (rule != null) {
        rule.define(compiler.schema(compiler.source.at(pointer), pointer));
      }
    }
    return root;
  }

  private Expression reference(String pointer) {
    return new Call(
        rules.computeIfAbsent(
            pointer,
            key -> {
              undefined.add(key);
              return new Rule();
            }));
  }

  private Expression schema(JsonNode node, String path) {
    if (++depth > MAX_DEPTH) {
      throw SchemaSource.refused(path, "it is nested too deeply, or refers to itself in allOf");
    }
    Expression expression =
        node.isBoolean()
            ? node.booleanValue() ? JsonText.VALUE : new Expression.AnyOf(List.of())
            : object(source.checked(node, path), path);
    depth--;
    return expression;
  }

  private Expression object(ObjectNode schema, String path) {
    if (schema.has("$ref") && SchemaSource.constraints(schema).size() == 1) {
      return reference(source.pointer(schema, path));
    }
    if (schema.has("$ref") || schema.has("allOf")) {
      return schema(source.flattened(schema, path), path);
    }
    for (String keyword : List.of("anyOf", "oneOf")) {
      if (schema.has(keyword)) {
        ObjectNode rest = schema.deepCopy().without(keyword);
        List<Expression> options = new ArrayList<>();
        for (JsonNode option : SchemaSource.list(schema, keyword, path)) {
          String place = path + "/" + keyword + "/" + options.size();
          options.add(
              SchemaSource.constraints(rest).isEmpty()
                  ? schema(option, place)
                  : schema(source.merged(rest, option, place), place));
        }
        return new Expression.AnyOf(options);
      }
    }
    if (schema.has("enum") || schema.has("const")) {
      return literals(schema, path);
    }
    return new Expression.AnyOf(
        types(schema, path).stream().map(type -> typed(type, schema, path)).toList());
  }

  private Expression literals(ObjectNode schema, String path) {
    for (String keyword : SchemaSource.constraints(schema)) {
      if (!Set.of("enum", "const", "type").contains(keyword)) {
        throw SchemaSource.refused(path, "'%s' beside enum or const".formatted(keyword));
      }
    }
    List<Expression> options = new ArrayList<>();
    JsonNode only = schema.get("const");
    for (JsonNode value : only == null ? SchemaSource.list(schema, "enum", path) : List.of(only)) {
      boolean listed = only == null || !schema.has("enum") || contains(schema.get("enum"), only);
      if (listed && hasType(value, schema, path)) {
        options.add(Expression.literal(value.toString()));
      }
    }
    return new Expression.AnyOf(options);
  }

  private static boolean contains(JsonNode list, JsonNode value) {
    for (JsonNode item : list) {
      if (item.equals(value)) {
        return true;
      }
    }
    return false;
  }

  private boolean hasType(JsonNode value, ObjectNode schema, String path) {
    return !schema.has("type")
        || types(schema, path).stream()
            .anyMatch(type ->
                switch (type) {
                  case "null" -> value.isNull();
                  case "boolean" -> value.isBoolean();
                  case "object" -> value.isObject();
                  case "array" -> value.isArray();
                  case "string" -> value.isString();
                  case "integer" -> value.isIntegralNumber();
                  default -> value.isNumber();
                });
  }

  /** Those of {@code type}, else those that the other keywords are about, else all. */
  private Set<String> types(ObjectNode schema, String path) {
    Set<String> types = new LinkedHashSet<>();
    JsonNode named = schema.get("type");
    if (named != null) {
      for (JsonNode type : named.isArray() ? named : List.of(named)) {
        if (!type.isString() || !TYPES.contains(type.stringValue())) {
          throw SchemaSource.refused(path, "type is %s".formatted(type));
        }
        types.add(type.stringValue());
      }
      return types;
    }
    for (String keyword : SchemaSource.constraints(schema)) {
      if (STRING_KEYWORDS.contains(keyword)) {
        types.add("string");
      } else if (NUMBER_KEYWORDS.contains(keyword)) {
        types.add("number");
      } else if (OBJECT_KEYWORDS.contains(keyword)) {
        types.add("object");
      } else if (ARRAY_KEYWORDS.contains(keyword)) {
        types.add("array");
      }
    }
    return types.isEmpty() ? Set.of("any") : types;
  }

  private Expression typed(String type, ObjectNode schema, String path) {
    return switch (type) {
      case "null" -> JsonText.NULL;
      case "boolean" -> JsonText.BOOLEAN;
      case "string" -> SchemaStrings.of(schema, path);
      case "integer" -> SchemaNumbers.of(schema, path, true);
      case "number" -> SchemaNumbers.of(schema, path, false);
      case "object" -> properties(schema, path);
      case "array" -> items(schema, path);
      default -> JsonText.VALUE;
    };
  }

  private Expression properties(ObjectNode schema, String path) {
    JsonNode properties = schema.path("properties");
    if (schema.has("properties") && !properties.isObject()) {
      throw SchemaSource.refused(path, "properties is no object");
    }
    Set<String> required = new LinkedHashSet<>();
    if (schema.has("required")) {
      for (JsonNode name : SchemaSource.array(schema, "required", path)) {
        if (!name.isString()) {
          throw SchemaSource.refused(path, "required holds what is no name");
        }
        required.add(name.stringValue());
      }
    }
    List<Member> members = new ArrayList<>();
    Set<String> names = new LinkedHashSet<>(properties.propertyNames());
    names.addAll(required);
    JsonNode others = schema.get("additionalProperties");
    for (String name : names) {
      if (name.length() > MAX_NAME_CHARACTERS) {
        throw SchemaSource.refused(
            path, "a property's name has more than %d characters".formatted(MAX_NAME_CHARACTERS));
      }
      JsonNode value = properties.get(name);
      Expression expression =
          value != null
              ? schema(value, path + "/properties/" + name)
              : others != null ? schema(others, path + "/additionalProperties") : JsonText.VALUE;
      members.add(
          new Member(
              JsonText.pair(JsonText.string(name), expression), required.contains(name), false));
    }
    boolean open = others == null ? names.isEmpty() : !others.isBoolean() || others.booleanValue();
    if (open) {
      Expression value =
          others == null ? JsonText.VALUE : schema(others, path + "/additionalProperties");
      Expression name = names.isEmpty() ? JsonText.STRING : JsonText.stringOtherThan(names);
      members.add(new Member(JsonText.pair(name, value), false, true));
    }
    return JsonText.object(members);
  }

  private Expression items(ObjectNode schema, String path) {
    if (schema.path("uniqueItems").asBoolean(false)) {
      throw SchemaSource.refused(path, "the keyword 'uniqueItems' is not supported");
    }
    int min = SchemaSource.count(schema, "minItems", 0, path);
    int max = SchemaSource.count(schema, "maxItems", Expression.UNBOUNDED, path);
    List<Expression> first = new ArrayList<>();
    if (schema.has("prefixItems")) {
      for (JsonNode item : SchemaSource.list(schema, "prefixItems", path)) {
        if (max == Expression.UNBOUNDED || first.size() < max) {
          first.add(schema(item, path + "/prefixItems/" + first.size()));
        }
      }
    }
    JsonNode items = schema.get("items");
    // A rule, as it may be needed in two places, and in as many as there are counts.
    Expression rest =
        new Call(new Rule(items == null ? JsonText.VALUE : schema(items, path + "/items")));
    int restMin = Math.max(0, min - first.size());
    int restMax =
        items == null && !first.isEmpty()
            ? restMin
            : max == Expression.UNBOUNDED ? max : max - first.size();
    if (restMax != Expression.UNBOUNDED && restMin > restMax) {
      throw SchemaSource.refused(path, "minItems is above maxItems");
    }
    Expression more = Expression.sequence(JsonText.COMMA, rest);
    if (first.isEmpty()) {
      if (restMax == 0) {
        return JsonText.array(Expression.EMPTY);
      }
      Expression some =
          Expression.sequence(
              rest,
              new Expression.Repeat(
                  more, Math.max(0, restMin - 1), restMax < 0 ? restMax : restMax - 1));
      return JsonText.array(restMin == 0 ? Expression.optional(some) : some);
    }
    List<Expression> parts = new ArrayList<>();
    for (Expression item : first) {
      if (!parts.isEmpty()) {
        parts.add(JsonText.COMMA);
      }
      parts.add(item);
    }
    parts.add(new Expression.Repeat(more, restMin, restMax));
    return JsonText.array(new Expression.Sequence(parts));
  }
}
