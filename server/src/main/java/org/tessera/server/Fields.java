package org.tessera.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The fields of a JSON object by name, each checked for its type and range. A field that is null is
 * as good as absent; fields that nobody asks for are ignored.
 *
 * @param path what error messages put before the names, such as {@code messages[0].}
 */
record Fields(ObjectNode node, String path) {
  static Fields of(ObjectNode body) {
    return new Fields(body, "");
  }

  String param(String name) {
    return path + name;
  }

  /** The field, whatever it is; absent where it is null or missing. */
  Optional<JsonNode> get(String name) {
    JsonNode value = node.get(name);
    return value == null || value.isNull() ? Optional.empty() : Optional.of(value);
  }

  boolean has(String name) {
    return get(name).isPresent();
  }

  Optional<String> string(String name) {
    return get(name)
        .map(value -> {
          if (!value.isString()) {
            throw wrongType(name, "a string");
          }
          return value.stringValue();
        });
  }

  String requiredString(String name) {
    return string(name).orElseThrow(() -> missing(name));
  }

  Optional<Boolean> bool(String name) {
    return get(name)
        .map(value -> {
          if (!value.isBoolean()) {
            throw wrongType(name, "true or false");
          }
          return value.booleanValue();
        });
  }

  boolean flag(String name) {
    return bool(name).orElse(false);
  }

  OptionalInt integer(String name, int min, int max) {
    OptionalLong value = integer64(name, min, max);
    return value.isPresent() ? OptionalInt.of((int) value.getAsLong()) : OptionalInt.empty();
  }

  OptionalLong integer64(String name, long min, long max) {
    Optional<JsonNode> value = get(name);
    if (value.isEmpty()) {
      return OptionalLong.empty();
    }
    JsonNode number = value.get();
    if (!number.isIntegralNumber()) {
      throw wrongType(name, "an integer");
    }
    if (!number.canConvertToLong() || number.longValue() < min || number.longValue() > max) {
      throw ApiException.invalid(
          param(name), "%s must be from %d to %d".formatted(param(name), min, max));
    }
    return OptionalLong.of(number.longValue());
  }

  OptionalDouble number(String name, double min, double max) {
    Optional<JsonNode> value = get(name);
    if (value.isEmpty()) {
      return OptionalDouble.empty();
    }
    if (!value.get().isNumber()) {
      throw wrongType(name, "a number");
    }
    double number = value.get().doubleValue();
    if (!(number >= min && number <= max)) {
      throw ApiException.invalid(
          param(name), "%s must be from %s to %s".formatted(param(name), min, max));
    }
    return OptionalDouble.of(number);
  }

  Optional<Fields> object(String name) {
    return get(name)
        .map(value -> {
          if (value instanceof ObjectNode object) {
            return new Fields(object, param(name) + ".");
          }
          throw wrongType(name, "an object");
        });
  }

  /** The objects of an array; empty where the field is absent. */
  List<Fields> objects(String name) {
    List<Fields> objects = new ArrayList<>();
    for (JsonNode element : array(name)) {
      if (!(element instanceof ObjectNode object)) {
        throw wrongType(name + "[" + objects.size() + "]", "an object");
      }
      objects.add(new Fields(object, param(name) + "[" + objects.size() + "]."));
    }
    return objects;
  }

  /** The elements of an array; empty where the field is absent. */
  List<JsonNode> array(String name) {
    Optional<JsonNode> value = get(name);
    if (value.isEmpty()) {
      return List.of();
    }
    if (!value.get().isArray()) {
      throw wrongType(name, "an array");
    }
    return List.copyOf(value.get().values());
  }

  /** A string or an array of strings. */
  List<String> strings(String name, int maxCount, int maxChars) {
    Optional<JsonNode> value = get(name);
    if (value.isEmpty()) {
      return List.of();
    }
    List<String> strings = new ArrayList<>();
    for (JsonNode element : value.get().isString() ? List.of(value.get()) : array(name)) {
      if (!element.isString()) {
        throw wrongType(name, "a string or an array of strings");
      }
      strings.add(element.stringValue());
    }
    if (strings.size() > maxCount) {
      throw ApiException.invalid(
          param(name), "%s may hold %d strings at most".formatted(param(name), maxCount));
    }
    if (strings.stream().anyMatch(string -> string.isEmpty() || string.length() > maxChars)) {
      throw ApiException.invalid(
          param(name),
          "strings of %s must have 1 to %d characters".formatted(param(name), maxChars));
    }
    return strings;
  }

  ApiException missing(String name) {
    return ApiException.invalid(param(name), "%s is missing".formatted(param(name)));
  }

  ApiException wrongType(String name, String expected) {
    return ApiException.invalid(param(name), "%s must be %s".formatted(param(name), expected));
  }
}
