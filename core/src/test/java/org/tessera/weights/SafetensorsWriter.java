package org.tessera.weights;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.tessera.tensor.Shape;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes safetensors files, good ones and, through {@link #file}, bad ones. */
public final class SafetensorsWriter {
  private static final JsonMapper JSON = new JsonMapper();

  private final ObjectNode header = JSON.createObjectNode();
  private final ByteArrayOutputStream data = new ByteArrayOutputStream();

  /** Appends a tensor whose bytes count up from the offset at which it begins. */
  SafetensorsWriter tensor(String name, String dtype, Shape shape) {
    int bits = StoredTensor.DTYPE_BITS.get(dtype);
    return tensor(name, dtype, shape, counting((int) (shape.elements() * bits / 8)));
  }

  public SafetensorsWriter tensor(String name, String dtype, Shape shape, byte[] bytes) {
    ObjectNode tensor = header.putObject(name);
    tensor.put("dtype", dtype);
    shape.dimensions().forEach(tensor.putArray("shape")::add);
    tensor.putArray("data_offsets").add(data.size()).add(data.size() + bytes.length);
    data.writeBytes(bytes);
    return this;
  }

  SafetensorsWriter metadata(String key, String value) {
    ((ObjectNode) header.withObjectProperty("__metadata__")).put(key, value);
    return this;
  }

  private byte[] counting(int count) {
    byte[] bytes = new byte[count];
    for (int i = 0; i < count; i++) {
      bytes[i] = (byte) (data.size() + i);
    }
    return bytes;
  }

  byte[] bytes() {
    return file(header.toString(), data.toByteArray());
  }

  public void write(Path path) throws IOException {
    Files.write(path, bytes());
  }

  /** A file of any header and any data. */
  static byte[] file(String header, byte[] data) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Long.BYTES + json.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(data)
        .array();
  }

  /** An index, tensors and shards in pairs. */
  static String index(String... namesAndShards) {
    Map<String, String> weightMap = new LinkedHashMap<>();
    for (int i = 0; i < namesAndShards.length; i += 2) {
      weightMap.put(namesAndShards[i], namesAndShards[i + 1]);
    }
    return JSON.writeValueAsString(
        Map.of("metadata", Map.of("total_size", 1), "weight_map", weightMap));
  }
}
