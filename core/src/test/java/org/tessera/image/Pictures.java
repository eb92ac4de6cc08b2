package org.tessera.image;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import org.tessera.api.Image;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Small pictures of every format, drawn for these tests, and what Pillow 12.3 reads in them. */
final class Pictures {
  private static final JsonNode EXPECTED = new JsonMapper().readTree(bytes("pillow.json"));

  private Pictures() {}

  static List<String> names() {
    return List.copyOf(EXPECTED.propertyNames());
  }

  static JsonNode expected(String name) {
    return EXPECTED.get(name);
  }

  static Image.Encoded file(String name) {
    return new Image.Encoded(name, bytes(name));
  }

  private static byte[] bytes(String name) {
    try (InputStream in = Pictures.class.getResourceAsStream(name)) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
