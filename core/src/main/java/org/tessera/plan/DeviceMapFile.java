package org.tessera.plan;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.tessera.error.PlanException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A user's device map: a JSON object from module or parameter path to a GPU's number, {@code
 * "cuda:1"} or {@code "cpu"}.
 */
public final class DeviceMapFile {
  private static final int MAX_BYTES = 1 << 20;
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private DeviceMapFile() {}

  /**
   * Reads a file of at most 1 MiB.
   *
   * @throws PlanException where it cannot be read or is not a device map
   */
  public static Placement read(Path file) {
    String name = String.valueOf(file.getFileName());
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw new PlanException("%s: a device map of over 1 MiB is not read".formatted(name));
      }
      return parse(new String(bytes, StandardCharsets.UTF_8), name);
    } catch (IOException e) {
      throw new PlanException(
          ("%s: no such device map can be read; expected a readable JSON file or one of auto,"
                  + " balanced, balanced_low_0, sequential, cpu or a GPU's number")
              .formatted(Printable.of(name)),
          e);
    }
  }

  /**
   * Reads a map.
   *
   * @param name of the file, for messages
   * @throws PlanException where the text is not a device map, or names the disk
   */
  public static Placement parse(String json, String name) {
    JsonNode root = tree(json, name);
    if (!root.isObject() || root.isEmpty()) {
      throw new PlanException(
          "%s: expected a JSON object such as {\"llm\": 0, \"vpm\": \"cpu\"}".formatted(name));
    }
    Map<String, DeviceId> byPrefix = new LinkedHashMap<>();
    root.properties().forEach(entry -> byPrefix.put(entry.getKey(), device(entry, name)));
    return new Placement(byPrefix);
  }

  private static JsonNode tree(String json, String name) {
    try {
      return JSON.readTree(json);
    } catch (JacksonException e) {
      throw new PlanException(
          "%s: not valid JSON: %s".formatted(name, Printable.of(e.getOriginalMessage())), e);
    }
  }

  private static DeviceId device(Map.Entry<String, JsonNode> entry, String name) {
    String key = Printable.of(entry.getKey());
    JsonNode value = entry.getValue();
    if (!value.isString() && !value.isIntegralNumber()) {
      throw new PlanException(
          "%s: \"%s\" has the value %s, expected a GPU's number, \"cuda:1\" or \"cpu\""
              .formatted(name, key, Printable.of(value.toString())));
    }
    DeviceId device = DeviceId.parse(value.asString());
    if (device.equals(DeviceId.DISK)) {
      throw new PlanException(
          "%s: \"%s\" is mapped to disk, which is not supported: map it to cpu or a GPU"
              .formatted(name, key));
    }
    return device;
  }
}
