package org.tessera.sampling;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.tessera.api.GenerationOptions;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The {@code sampling} cases of the reference vectors: what the original draws from. */
final class SamplingVectors {
  /** One distribution of the original and what it was computed from. */
  record Case(
      String name,
      GenerationOptions options,
      List<Integer> history,
      float[] logits,
      float[] probabilities) {}

  private SamplingVectors() {}

  static List<Case> read() throws IOException {
    String given = System.getProperty("conformance.dir", "");
    Path directory =
        given.isEmpty()
            ? Path.of(System.getProperty("project.root"), "conformance")
            : Path.of(given);
    Path json = directory.resolve("chat.json");
    Path tensors = directory.resolve("chat.safetensors");
    assumeTrue(Files.exists(json) && Files.exists(tensors), "no chat.json and chat.safetensors");
    byte[] bytes = Files.readAllBytes(tensors);
    List<Case> cases = new ArrayList<>();
    for (JsonNode chat : JsonMapper.shared().readTree(Files.readAllBytes(json))) {
      String name = chat.get("name").asString();
      for (JsonNode sampling : chat.path("sampling")) {
        String probs = sampling.get("probs").asString();
        cases.add(
            new Case(
                probs,
                options(sampling),
                StreamSupport.stream(sampling.get("history").spliterator(), false)
                    .map(JsonNode::asInt)
                    .toList(),
                float32(bytes, name + ".logits_last"),
                float32(bytes, probs)));
      }
    }
    assumeTrue(!cases.isEmpty(), "chat.json has no sampling cases");
    return cases;
  }

  private static GenerationOptions options(JsonNode sampling) {
    return GenerationOptions.greedy()
        .withTemperature(sampling.get("temperature").asFloat())
        .withTopK(sampling.get("top_k").asInt())
        .withTopP(sampling.get("top_p").asFloat())
        .withRepetitionPenalty(sampling.get("repetition_penalty").asFloat());
  }

  /** Safetensors: the header's length in 8 bytes, the header in JSON, then the data. */
  private static float[] float32(byte[] file, String tensor) {
    ByteBuffer buffer = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int headerBytes = Math.toIntExact(buffer.getLong());
    JsonNode entry = JsonMapper.shared().readTree(file, 8, headerBytes).get(tensor);
    int start = entry.get("data_offsets").get(0).asInt();
    int end = entry.get("data_offsets").get(1).asInt();
    float[] values = new float[(end - start) / Float.BYTES];
    buffer.position(8 + headerBytes + start);
    buffer.asFloatBuffer().get(values);
    return values;
  }
}
