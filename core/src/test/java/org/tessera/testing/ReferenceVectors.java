package org.tessera.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The reference vectors: in the directory that {@code conformance.dir} names, else the project's. A
 * file that is not there skips the test that asks for it, and the report names the file.
 */
public final class ReferenceVectors {
  private static final JsonMapper JSON = new JsonMapper();

  private ReferenceVectors() {}

  public static Path directory() {
    String named = System.getProperty("conformance.dir", "");
    return named.isBlank()
        ? Path.of(System.getProperty("project.root", ".."), "conformance")
        : Path.of(named);
  }

  /** A file or directory of the vectors. */
  public static Path path(String name) {
    Path path = directory().resolve(name);
    Assumptions.assumeTrue(Files.exists(path), name + " is not among the reference vectors");
    return path;
  }

  public static JsonNode json(String file) {
    return JSON.readTree(bytes(file));
  }

  public static byte[] bytes(String file) {
    try {
      return Files.readAllBytes(path(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The tensors of an F32 safetensors file. */
  public static Tensors tensors(String file) {
    ByteBuffer bytes = ByteBuffer.wrap(bytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = (int) bytes.getLong();
    String header = new String(bytes.array(), Long.BYTES, headerLength, StandardCharsets.UTF_8);
    bytes.position(Long.BYTES + headerLength);
    return new Tensors(JSON.readTree(header), bytes.slice().order(ByteOrder.LITTLE_ENDIAN));
  }

  public static int[] ints(JsonNode array) {
    int[] values = new int[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).asInt();
    }
    return values;
  }

  public static List<Integer> intList(JsonNode array) {
    List<Integer> values = new ArrayList<>();
    for (Iterator<JsonNode> it = array.iterator(); it.hasNext(); ) {
      values.add(it.next().asInt());
    }
    return values;
  }

  /** A safetensors file of floats. */
  public record Tensors(JsonNode header, ByteBuffer data) {
    public boolean has(String name) {
      return header.has(name);
    }

    public float[] get(String name) {
      JsonNode offsets = header.get(name).get("data_offsets");
      int start = offsets.get(0).asInt();
      int end = offsets.get(1).asInt();
      float[] values = new float[(end - start) / Float.BYTES];
      data.slice(start, end - start).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
      return values;
    }

    public int[] shape(String name) {
      return ints(header.get(name).get("shape"));
    }
  }
}
