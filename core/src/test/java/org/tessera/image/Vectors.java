package org.tessera.image;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.junit.jupiter.api.Assumptions;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The reference vectors: the directory that {@code conformance.dir} names, else the project's. */
final class Vectors {
  private static final JsonMapper JSON = new JsonMapper();

  private Vectors() {}

  static JsonNode json(String file) {
    return JSON.readTree(bytes(file));
  }

  /** A number of the checkpoint's preprocessor_config.json. */
  static int preprocessor(String key) {
    return json("checkpoint/preprocessor_config.json").get(key).asInt();
  }

  static byte[] bytes(String file) {
    String named = System.getProperty("conformance.dir", "");
    Path directory =
        named.isBlank()
            ? Path.of(System.getProperty("project.root", ".."), "conformance")
            : Path.of(named);
    Path path = directory.resolve(file);
    Assumptions.assumeTrue(Files.exists(path), file + " is not among the reference vectors");
    try {
      return Files.readAllBytes(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A float32 tensor of a safetensors file. */
  static float[] floats(String file, String tensor) {
    ByteBuffer bytes = ByteBuffer.wrap(bytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = (int) bytes.getLong();
    String header = new String(bytes.array(), Long.BYTES, headerLength, StandardCharsets.UTF_8);
    JsonNode offsets = JSON.readTree(header).get(tensor).get("data_offsets");
    int start = Long.BYTES + headerLength + offsets.get(0).asInt();
    float[] values = new float[(offsets.get(1).asInt() - offsets.get(0).asInt()) / Float.BYTES];
    bytes.position(start).slice().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
