package org.tessera.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.tessera.error.CheckpointException;
import tools.jackson.databind.JsonNode;

/**
 * A JSON object of a named file, read key by key with the range that makes sense. A key that holds
 * {@code null} counts as missing, as in Python. Each refusal names file, key, what was found and
 * what was expected.
 */
final class JsonObject {
  private final String file;
  private final String prefix;
  private final JsonNode node;

  private JsonObject(String file, String prefix, JsonNode node) {
    this.file = file;
    this.prefix = prefix;
    this.node = node;
  }

  static JsonObject parse(String file, byte[] content) {
    JsonNode root = StrictJson.tree(file, content);
    if (!root.isObject()) {
      throw new CheckpointException("%s is not a JSON object".formatted(file));
    }
    return new JsonObject(file, "", root);
  }

  String file() {
    return file;
  }

  List<String> keys() {
    return List.copyOf(node.propertyNames());
  }

  boolean has(String key) {
    return find(key) != null;
  }

  JsonObject object(String key) {
    return toObject(key, value(key));
  }

  Optional<JsonObject> optionalObject(String key) {
    return optional(key, value -> toObject(key, value));
  }

  int integer(String key, int min, int max) {
    return toInteger(key, value(key), min, max);
  }

  int integer(String key, int min, int max, int fallback) {
    return optionalInteger(key, min, max).orElse(fallback);
  }

  OptionalInt optionalInteger(String key, int min, int max) {
    JsonNode value = find(key);
    return value == null ? OptionalInt.empty() : OptionalInt.of(toInteger(key, value, min, max));
  }

  double number(String key, double min, double max) {
    return toNumber(key, value(key), min, max);
  }

  Optional<Double> optionalNumber(String key, double min, double max) {
    return optional(key, value -> toNumber(key, value, min, max));
  }

  boolean bool(String key) {
    return toBool(key, value(key));
  }

  boolean bool(String key, boolean fallback) {
    return optionalBool(key).orElse(fallback);
  }

  Optional<Boolean> optionalBool(String key) {
    return optional(key, value -> toBool(key, value));
  }

  String string(String key) {
    return toText(key, value(key));
  }

  Optional<String> optionalString(String key) {
    return optional(key, value -> toText(key, value));
  }

  /** A string, or a number as it is written. */
  Optional<String> optionalStringOrNumber(String key) {
    return optional(
        key,
        value -> value.isNumber() ? value.asString() : toText(key, value, "a string or number"));
  }

  boolean isString(String key) {
    return value(key).isString();
  }

  boolean isArray(String key) {
    return value(key).isArray();
  }

  List<String> strings(String key) {
    return list(key, this::toText);
  }

  List<Integer> integers(String key, int min, int max) {
    return list(key, (item, value) -> toInteger(item, value, min, max));
  }

  List<Float> numbers(String key, double min, double max) {
    return list(key, (item, value) -> (float) toNumber(item, value, min, max));
  }

  CheckpointException wrong(String key, Object found, String expected) {
    return new CheckpointException(
        "%s is %s, expected %s"
            .formatted(name(key), StrictJson.printable(String.valueOf(found)), expected));
  }

  /** File and key, as messages begin. */
  String name(String key) {
    return "%s: %s%s".formatted(file, prefix, StrictJson.printable(key));
  }

  private <T> List<T> list(String key, BiFunction<String, JsonNode, T> element) {
    JsonNode value = value(key);
    if (!value.isArray()) {
      throw wrong(key, shown(value), "an array");
    }
    List<T> list = new ArrayList<>();
    for (JsonNode item : value) {
      list.add(element.apply("%s[%d]".formatted(key, list.size()), item));
    }
    return List.copyOf(list);
  }

  private JsonObject toObject(String key, JsonNode value) {
    if (!value.isObject()) {
      throw wrong(key, shown(value), "an object");
    }
    return new JsonObject(file, prefix + StrictJson.printable(key) + ".", value);
  }

  private int toInteger(String key, JsonNode value, int min, int max) {
    boolean fits = value.isIntegralNumber() && value.canConvertToInt();
    if (!fits || value.intValue() < min || value.intValue() > max) {
      throw wrong(key, shown(value), "a whole number from %d to %d".formatted(min, max));
    }
    return value.intValue();
  }

  private double toNumber(String key, JsonNode value, double min, double max) {
    double number = value.isNumber() ? value.doubleValue() : Double.NaN;
    if (!(number >= min && number <= max)) {
      throw wrong(key, shown(value), "a number from %s to %s".formatted(min, max));
    }
    return number;
  }

  private boolean toBool(String key, JsonNode value) {
    if (!value.isBoolean()) {
      throw wrong(key, shown(value), "true or false");
    }
    return value.booleanValue();
  }

  private String toText(String key, JsonNode value) {
    return toText(key, value, "a string");
  }

  private String toText(String key, JsonNode value, String expected) {
    if (!value.isString()) {
      throw wrong(key, shown(value), expected);
    }
    return value.stringValue();
  }

  private static String shown(JsonNode value) {
    if (value.isObject()) {
      return "an object";
    }
    return value.isArray() ? "an array" : value.toString();
  }

  private JsonNode value(String key) {
    JsonNode value = find(key);
    if (value == null) {
      throw new CheckpointException("%s is missing".formatted(name(key)));
    }
    return value;
  }

  private @Nullable JsonNode find(String key) {
    JsonNode value = node.get(key);
    return value == null || value.isNull() ? null : value;
  }

  private <T> Optional<T> optional(String key, Function<JsonNode, T> convert) {
    JsonNode value = find(key);
    return value == null ? Optional.empty() : Optional.of(convert.apply(value));
  }
}
