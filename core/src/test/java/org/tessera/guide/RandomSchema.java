package org.tessera.guide;

import java.util.Random;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Schemas out of every supported keyword, each of which some finite value meets. */
final class RandomSchema {
  private static final JsonMapper JSON = new JsonMapper();

  /**
   * Not email: the validator takes the top-level domains that exist, which a syntax cannot know.
   */
  private static final String[] FORMATS = {"date", "time", "date-time", "uuid", "ipv4"};

  private static final String[] PATTERNS = {"^[a-c]{2,5}$", "x", "^\\d+\\s?[\"\\\\]$", "^é|ü{3}"};
  private static final String[] NAMES = {"a", "b", "id", "na\"me", "ü", "tree", "x\\y", "list"};

  private final Random random;

  private RandomSchema(Random random) {
    this.random = random;
  }

  static String make(Random random) {
    RandomSchema maker = new RandomSchema(random);
    ObjectNode root = maker.schema(3);
    ObjectNode definitions = JSON.createObjectNode();
    definitions.set("leaf", maker.schema(0));
    ObjectNode tree = definitions.putObject("tree").put("type", "object");
    tree.putObject("properties").set("value", maker.schema(0));
    ((ObjectNode) tree.get("properties")).putObject("next").put("$ref", "#/$defs/tree");
    tree.put("additionalProperties", false);
    root.set("$defs", definitions);
    return root.toString();
  }

  private ObjectNode schema(int depth) {
    ObjectNode schema = JSON.createObjectNode();
    switch (random.nextInt(depth == 0 ? 7 : 12)) {
      case 0 -> integer(schema);
      case 1 -> number(schema);
      case 2, 3 -> string(schema);
      case 4 -> schema.put("type", random.nextBoolean() ? "boolean" : "null");
      case 5 -> literals(schema);
      case 6 -> schema.putArray("type").add("null").add("integer");
      case 7, 8 -> object(schema, depth);
      case 9 -> array(schema, depth);
      case 10 -> {
        ArrayNode options = schema.putArray("anyOf");
        options.add(schema(depth - 1)).add(schema(depth - 1));
      }
      default -> schema.put("$ref", random.nextBoolean() ? "#/$defs/leaf" : "#/$defs/tree");
    }
    if (random.nextInt(5) == 0) {
      schema.put("title", "a title").put("description", "says nothing");
    }
    return schema;
  }

  private void integer(ObjectNode schema) {
    schema.put("type", "integer");
    int low = random.nextInt(2000) - 1000;
    if (random.nextBoolean()) {
      schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", low);
    }
    if (random.nextBoolean()) {
      schema.put(
          random.nextBoolean() ? "maximum" : "exclusiveMaximum", low + 2 + random.nextInt(99));
    }
  }

  private void number(ObjectNode schema) {
    schema.put("type", "number");
    int low = random.nextInt(20) - 10;
    if (random.nextBoolean()) {
      schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", low);
    }
    if (random.nextBoolean()) {
      schema.put(
          random.nextBoolean() ? "maximum" : "exclusiveMaximum", low + 1 + random.nextInt(9));
    }
  }

  private void string(ObjectNode schema) {
    schema.put("type", "string");
    switch (random.nextInt(4)) {
      case 0 -> schema.put("minLength", random.nextInt(4)).put("maxLength", 4 + random.nextInt(9));
      case 1 -> schema.put("pattern", PATTERNS[random.nextInt(PATTERNS.length)]);
      case 2 -> schema.put("format", FORMATS[random.nextInt(FORMATS.length)]);
      default -> {}
    }
  }

  private void literals(ObjectNode schema) {
    if (random.nextBoolean()) {
      schema.put("const", "a \"text\" of \n 漢字");
    } else {
      ArrayNode values = schema.putArray("enum").add(1).add(2.5).add("x").addNull().add(true);
      values.addObject().put("k", "v");
      values.addArray().add(1);
    }
  }

  private void object(ObjectNode schema, int depth) {
    schema.put("type", "object");
    ObjectNode properties = schema.putObject("properties");
    ArrayNode required = schema.putArray("required");
    for (int i = random.nextInt(4); i > 0; i--) {
      String name = NAMES[random.nextInt(NAMES.length)];
      if (!properties.has(name)) {
        properties.set(name, schema(depth - 1));
        if (random.nextBoolean()) {
          required.add(name);
        }
      }
    }
    switch (random.nextInt(4)) {
      case 0 -> schema.put("additionalProperties", false);
      case 1 -> schema.put("additionalProperties", true);
      case 2 -> schema.set("additionalProperties", schema(0));
      default -> {}
    }
  }

  private void array(ObjectNode schema, int depth) {
    schema.put("type", "array");
    if (random.nextInt(3) == 0) {
      schema.putArray("prefixItems").add(schema(depth - 1)).add(schema(0));
    }
    if (random.nextInt(3) > 0) {
      schema.set("items", schema(depth - 1));
    }
    if (random.nextBoolean()) {
      schema.put("minItems", random.nextInt(3));
    }
    if (random.nextBoolean()) {
      schema.put("maxItems", 3 + random.nextInt(3));
    }
  }
}
