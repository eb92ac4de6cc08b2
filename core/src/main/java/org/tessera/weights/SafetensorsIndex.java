package org.tessera.weights;

import java.io.ByteArrayInputStream;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.json.JsonFactory;

/**
 * Reads model.safetensors.index.json. Its {@code metadata.total_size} is not looked at: it is stale
 * in published checkpoints, and the shards themselves are checked.
 */
final class SafetensorsIndex {
  static final String FILE = "model.safetensors.index.json";
  private static final int MAX_SHARDS = 1000;
  private static final JsonFactory JSON = StrictJson.factory(1 << 20);

  private SafetensorsIndex() {}

  /**
   * {@code weight_map}: tensor name to shard, the shards in the order of their names.
   *
   * @throws CheckpointException where it is not an index
   */
  static Map<String, Set<String>> shards(byte[] content) {
    try (JsonParser parser =
        JSON.createParser(StrictJson.utf8(new ByteArrayInputStream(content)))) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new CheckpointException("%s is not a JSON object".formatted(FILE));
      }
      Map<String, String> weightMap = null;
      for (String key = parser.nextName(); key != null; key = parser.nextName()) {
        parser.nextToken();
        if (!key.equals("weight_map")) {
          parser.skipChildren();
        } else if (weightMap != null) {
          throw new CheckpointException("%s: weight_map appears twice".formatted(FILE));
        } else {
          weightMap = weightMap(parser);
        }
      }
      if (parser.nextToken() != null) {
        throw new CheckpointException("%s goes on after its JSON object".formatted(FILE));
      }
      if (weightMap == null) {
        throw new CheckpointException("%s: weight_map is missing".formatted(FILE));
      }
      return byShard(weightMap);
    } catch (JacksonException e) {
      throw StrictJson.refusal(FILE, e);
    }
  }

  private static Map<String, String> weightMap(JsonParser parser) {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw new CheckpointException("%s: weight_map is not an object".formatted(FILE));
    }
    Map<String, String> weightMap = new HashMap<>();
    for (String name = parser.nextName(); name != null; name = parser.nextName()) {
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw new CheckpointException(
            "%s: weight_map.%s is not the name of a file"
                .formatted(FILE, StrictJson.printable(name)));
      }
      if (weightMap.put(name, parser.getString()) != null) {
        throw new CheckpointException(
            "%s: tensor %s appears twice in weight_map"
                .formatted(FILE, StrictJson.printable(name)));
      }
    }
    return weightMap;
  }

  private static Map<String, Set<String>> byShard(Map<String, String> weightMap) {
    Map<String, Set<String>> shards = new TreeMap<>();
    weightMap.forEach(
        (name, shard) -> shards.computeIfAbsent(shard, key -> new HashSet<>()).add(name));
    if (shards.size() > MAX_SHARDS) {
      throw new CheckpointException(
          "%s names %d files, expected at most %d".formatted(FILE, shards.size(), MAX_SHARDS));
    }
    return Collections.unmodifiableMap(shards);
  }
}
