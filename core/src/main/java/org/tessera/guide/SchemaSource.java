package org.tessera.guide;

import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tessera.config.StrictJson;
import org.tessera.error.InvalidRequestException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonPointer;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The JSON of one schema: its parts, references and what parts say together. */
final class SchemaSource {
  static final int MAX_CHARACTERS = 1 << 18;

  /** Keywords that were copied to join parts: bounds references that double and double again. */
  private static final int MAX_MERGED = 1 << 16;

  private static final JsonMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder()
                  .disable(TokenStreamFactory.Feature.INTERN_PROPERTY_NAMES)
                  .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(256)
                          .maxNumberLength(100)
                          .maxTokenCount(1 << 16)
                          .build())
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .build();

  /** What says something about a schema, not about its values. */
  private static final Set<String> ANNOTATIONS =
      Set.of(
          "title",
          "description",
          "default",
          "example",
          "examples",
          "$comment",
          "$schema",
          "$defs",
          "definitions",
          "deprecated",
          "readOnly",
          "writeOnly");

  private static final Set<String> SUPPORTED =
      Set.of(
          "$ref",
          "allOf",
          "anyOf",
          "oneOf",
          "type",
          "enum",
          "const",
          "properties",
          "required",
          "additionalProperties",
          "items",
          "prefixItems",
          "minItems",
          "maxItems",
          "uniqueItems",
          "minLength",
          "maxLength",
          "pattern",
          "format",
          "minimum",
          "maximum",
          "exclusiveMinimum",
          "exclusiveMaximum");

  private final JsonNode root;
  private int merged;

  private SchemaSource(JsonNode root) {
    this.root = root;
  }

  static SchemaSource parse(String schema) {
    if (schema.length() > MAX_CHARACTERS) {
      throw new InvalidRequestException(
          "the schema has %d characters, at most %d are accepted"
              .formatted(schema.length(), MAX_CHARACTERS));
    }
    try {
      return new SchemaSource(JSON.readTree(schema));
    } catch (JacksonException e) {
      throw new InvalidRequestException(
          "the schema is not valid JSON: " + StrictJson.printable(e.getOriginalMessage()), e);
    }
  }

  static InvalidRequestException refused(String path, String what) {
    return new InvalidRequestException(
        "the schema cannot be used: %s (at %s)"
            .formatted(StrictJson.printable(what), StrictJson.printable(path)));
  }

  /** The part under a pointer such as {@code #/$defs/node}. */
  JsonNode at(String pointer) {
    String path;
    JsonNode node;
    try {
      path = URLDecoder.decode(pointer.substring(1).replace("+", "%2B"), StandardCharsets.UTF_8);
      node = root.at(JsonPointer.compile(path));
    } catch (IllegalArgumentException e) {
      throw refused(pointer, "$ref is no path");
    }
    if (node.isMissingNode()) {
      throw refused(pointer, "$ref leads to nothing");
    }
    return node;
  }

  /** The pointer of a part's {@code $ref}. */
  String pointer(ObjectNode schema, String path) {
    JsonNode reference = schema.get("$ref");
    if (!reference.isString() || !reference.stringValue().startsWith("#")) {
      throw refused(path, "$ref is %s, expected # and a path".formatted(reference));
    }
    return reference.stringValue();
  }

  /** The part as an object, all of whose keywords are supported. */
  ObjectNode checked(JsonNode node, String path) {
    if (!(node instanceof ObjectNode schema)) {
      throw refused(path, "a schema is an object or a boolean, not %s".formatted(node));
    }
    for (String keyword : schema.propertyNames()) {
      boolean known =
          SUPPORTED.contains(keyword)
              || ANNOTATIONS.contains(keyword)
              || (keyword.equals("$id") && path.equals("#"));
      if (!known) {
        throw refused(path, "the keyword '%s' is not supported".formatted(keyword));
      }
    }
    return schema;
  }

  /** Keywords of a part that are no annotations. */
  static Set<String> constraints(ObjectNode schema) {
    Set<String> keywords = new LinkedHashSet<>(schema.propertyNames());
    keywords.retainAll(SUPPORTED);
    return keywords;
  }

  static ArrayNode array(ObjectNode schema, String keyword, String path) {
    if (schema.get(keyword) instanceof ArrayNode array) {
      return array;
    }
    throw refused(path, keyword + " is no array");
  }

  /** As {@link #array}, of at least one element. */
  static ArrayNode list(ObjectNode schema, String keyword, String path) {
    ArrayNode array = array(schema, keyword, path);
    if (array.isEmpty()) {
      throw refused(path, keyword + " is empty");
    }
    return array;
  }

  static int count(ObjectNode schema, String keyword, int fallback, String path) {
    JsonNode value = schema.get(keyword);
    if (value == null) {
      return fallback;
    }
    if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < 0) {
      throw refused(path, "%s is %s, expected a count".formatted(keyword, value));
    }
    return value.intValue();
  }

  /** A part without {@code $ref} and {@code allOf}: what they bring stands beside the rest. */
  ObjectNode flattened(ObjectNode schema, String path) {
    ObjectNode result = schema.deepCopy().without(List.of("$ref", "allOf"));
    if (schema.has("$ref")) {
      String pointer = pointer(schema, path);
      result = merged(result, at(pointer), pointer);
    }
    if (schema.has("allOf")) {
      for (JsonNode part : list(schema, "allOf", path)) {
        result = merged(result, part, path + "/allOf");
      }
    }
    return result;
  }

  /** What holds where both parts hold. */
  ObjectNode merged(ObjectNode a, JsonNode part, String path) {
    if (part.isBoolean() && part.booleanValue()) {
      return a;
    }
    ObjectNode b = checked(part, path);
    for (String keyword : List.of("additionalProperties", "items")) {
      String other = keyword.equals("items") ? "prefixItems" : "properties";
      if ((a.has(keyword) && b.has(other)) || (b.has(keyword) && a.has(other))) {
        throw refused(path, "%s and %s in parts that hold together".formatted(keyword, other));
      }
    }
    ObjectNode result = a.deepCopy();
    for (String keyword : constraints(b)) {
      JsonNode theirs = b.get(keyword);
      if (++merged > MAX_MERGED) {
        throw refused(path, "allOf and references multiply to too many parts");
      }
      JsonNode ours = result.get(keyword);
      result.set(keyword, ours == null ? theirs : both(keyword, ours, theirs, path));
    }
    return result;
  }

  private JsonNode both(String keyword, JsonNode ours, JsonNode theirs, String path) {
    if (ours.equals(theirs)) {
      return ours;
    }
    JsonNode joined =
        switch (keyword) {
          case "required" -> union(ours, theirs);
          case "properties" -> joinedProperties(ours, theirs);
          case "allOf" -> concatenated(ours, theirs);
          default -> null;
        };
    if (joined == null) {
      throw refused(path, "'%s' differs between parts that hold together".formatted(keyword));
    }
    return joined;
  }

  private static @Nullable JsonNode union(JsonNode ours, JsonNode theirs) {
    if (!ours.isArray() || !theirs.isArray()) {
      return null;
    }
    Set<JsonNode> values = new LinkedHashSet<>();
    ours.forEach(values::add);
    theirs.forEach(values::add);
    return JsonNodeFactory.instance.arrayNode().addAll(values);
  }

  private static @Nullable JsonNode concatenated(JsonNode ours, JsonNode theirs) {
    if (!ours.isArray() || !theirs.isArray()) {
      return null;
    }
    List<JsonNode> values = new ArrayList<>();
    ours.forEach(values::add);
    theirs.forEach(values::add);
    return JsonNodeFactory.instance.arrayNode().addAll(values);
  }

  private static @Nullable JsonNode joinedProperties(JsonNode ours, JsonNode theirs) {
    if (!(ours instanceof ObjectNode first) || !theirs.isObject()) {
      return null;
    }
    ObjectNode result = first.deepCopy();
    for (String name : theirs.propertyNames()) {
      JsonNode added = theirs.get(name);
      JsonNode present = result.get(name);
      if (present == null || present.equals(added)) {
        result.set(name, added);
      } else {
        result.putObject(name).putArray("allOf").add(present).add(added);
      }
    }
    return result;
  }
}
