package org.tessera.weights;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.Shape;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.json.JsonFactory;

/**
 * Parses and checks the JSON header of one safetensors file. It is streamed, so that a header of
 * the format's full 100 MB costs no more heap than the tensors that it names.
 *
 * <p>After this every tensor has a known element type, a shape whose bytes are exactly its range,
 * and the ranges cover the file's data without overlap or gap.
 */
final class SafetensorsHeader {
  private static final int MAX_TENSORS = 100_000;
  private static final int MAX_DIMENSIONS = 16;
  private static final JsonFactory JSON = StrictJson.factory(1 << 24);

  private final String file;
  private final JsonParser parser;
  private final Map<String, StoredTensor> tensors = new HashMap<>();

  private SafetensorsHeader(String file, JsonParser parser) {
    this.file = file;
    this.parser = parser;
  }

  /**
   * The tensors by name.
   *
   * @param file named in messages
   * @param header the bytes of the JSON object
   * @param dataBytes bytes that follow it in the file
   * @throws CheckpointException where the header breaks a rule of the format
   */
  static Map<String, StoredTensor> parse(String file, MemorySegment header, long dataBytes) {
    try (JsonParser parser = JSON.createParser(StrictJson.utf8(new SegmentInputStream(header)))) {
      SafetensorsHeader reading = new SafetensorsHeader(file, parser);
      reading.readObject();
      reading.requireCoverage(dataBytes);
      // A copy by Map.copyOf is slow where hash codes are alike.
      return Collections.unmodifiableMap(reading.tensors);
    } catch (JacksonException e) {
      throw StrictJson.refusal("the header of " + file, e);
    }
  }

  private void readObject() {
    parser.nextToken(); // The brace that the file was seen to begin with.
    boolean metadata = false;
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      parser.nextToken();
      if (name.equals("__metadata__")) {
        if (metadata) {
          throw new CheckpointException("%s: __metadata__ appears twice".formatted(file));
        }
        metadata = true;
        readMetadata();
      } else if (tensors.containsKey(name)) {
        throw wrong(name, "appears twice");
      } else if (tensors.size() == MAX_TENSORS) {
        throw new CheckpointException(
            "%s has more than %d tensors, the most this build reads".formatted(file, MAX_TENSORS));
      } else {
        tensors.put(name, readTensor(name));
      }
    }
    if (parser.nextToken() != null) {
      throw new CheckpointException("%s: the header goes on after its JSON object".formatted(file));
    }
  }

  private void readMetadata() {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw new CheckpointException("%s: __metadata__ is not an object".formatted(file));
    }
    for (String key = parser.nextName(); key != null; key = parser.nextName()) {
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw new CheckpointException(
            "%s: __metadata__.%s is not a string".formatted(file, StrictJson.printable(key)));
      }
    }
  }

  private StoredTensor readTensor(String name) {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw wrong(name, "is not described by an object");
    }
    String dtype = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    Set<String> keys = new HashSet<>();
    for (String key = parser.nextName(); key != null; key = parser.nextName()) {
      if (!keys.add(key)) {
        throw wrong(name, "has two keys \"%s\"".formatted(StrictJson.printable(key)));
      }
      parser.nextToken();
      switch (key) {
        case "dtype" -> dtype = readDtype(name);
        case "shape" -> shape = readNumbers(name, key, MAX_DIMENSIONS);
        case "data_offsets" -> offsets = readNumbers(name, key, 2);
        default -> parser.skipChildren();
      }
    }
    return checked(
        name,
        present(name, "dtype", dtype),
        present(name, "shape", shape),
        present(name, "data_offsets", offsets));
  }

  private <T> T present(String name, String key, @Nullable T value) {
    if (value == null) {
      throw wrong(name, "has no " + key);
    }
    return value;
  }

  private String readDtype(String name) {
    if (parser.currentToken() != JsonToken.VALUE_STRING) {
      throw wrong(name, "has a dtype that is not a string");
    }
    String dtype = parser.getString();
    if (!StoredTensor.DTYPE_BITS.containsKey(dtype)) {
      throw wrong(
          name,
          "has the type %s, which safetensors does not know"
              .formatted(StrictJson.printable(dtype)));
    }
    return dtype;
  }

  private List<Long> readNumbers(String name, String key, int maxCount) {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw wrong(name, "has a %s that is not an array".formatted(key));
    }
    List<Long> numbers = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (numbers.size() == maxCount) {
        throw wrong(name, "has a %s of more than %d numbers".formatted(key, maxCount));
      }
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
          || parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
          || parser.getLongValue() < 0) {
        throw wrong(
            name, "has a %s with an element that is not a whole number from 0".formatted(key));
      }
      numbers.add(parser.getLongValue());
    }
    return numbers;
  }

  private StoredTensor checked(
      String name, String dtype, List<Long> dimensions, List<Long> offsets) {
    if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
      throw wrong(name, "has data_offsets %s, expected [begin, end]".formatted(offsets));
    }
    if (dimensions.stream().anyMatch(dimension -> dimension > Integer.MAX_VALUE)) {
      throw wrong(
          name,
          "has shape %s, expected dimensions up to %d".formatted(dimensions, Integer.MAX_VALUE));
    }
    Shape shape = new Shape(dimensions.stream().map(Long::intValue).toList());
    long bits = bits(name, dtype, shape);
    long bytes = offsets.get(1) - offsets.get(0);
    if (bits % Byte.SIZE != 0 || bits / Byte.SIZE != bytes) {
      throw wrong(
          name,
          "has %d bytes, expected %s for %s elements of shape %s"
              .formatted(
                  bytes,
                  bits % Byte.SIZE == 0 ? bits / Byte.SIZE : "%d bits".formatted(bits),
                  dtype,
                  shape));
    }
    return new StoredTensor(dtype, shape, offsets.get(0), offsets.get(1));
  }

  private long bits(String name, String dtype, Shape shape) {
    try {
      long bitsPerElement = StoredTensor.DTYPE_BITS.getOrDefault(dtype, 0);
      return Math.multiplyExact(shape.elements(), bitsPerElement);
    } catch (ArithmeticException e) {
      throw new CheckpointException(
          "%s: tensor %s has shape %s, whose size does not fit into 64 bits"
              .formatted(file, StrictJson.printable(name), shape),
          e);
    }
  }

  /** The format has the tensors follow each other: no byte belongs to two of them or to none. */
  private void requireCoverage(long dataBytes) {
    List<Map.Entry<String, StoredTensor>> inOrder = new ArrayList<>(tensors.entrySet());
    inOrder.sort(
        Comparator.<Map.Entry<String, StoredTensor>>comparingLong(e -> e.getValue().begin())
            .thenComparingLong(e -> e.getValue().end()));
    long covered = 0;
    for (Map.Entry<String, StoredTensor> entry : inOrder) {
      StoredTensor tensor = entry.getValue();
      if (tensor.end() > dataBytes) {
        throw wrong(
            entry.getKey(),
            "has data_offsets [%d, %d], but the file has %d bytes of data"
                .formatted(tensor.begin(), tensor.end(), dataBytes));
      }
      if (tensor.begin() != covered) {
        throw wrong(
            entry.getKey(),
            "begins at byte %d of the data, expected %d, where the tensor before it ends"
                .formatted(tensor.begin(), covered));
      }
      covered = tensor.end();
    }
    if (covered != dataBytes) {
      throw new CheckpointException(
          "%s has %d bytes of data, but its tensors end at byte %d"
              .formatted(file, dataBytes, covered));
    }
  }

  private CheckpointException wrong(String name, String what) {
    return new CheckpointException(
        "%s: tensor %s %s".formatted(file, StrictJson.printable(name), what));
  }
}
