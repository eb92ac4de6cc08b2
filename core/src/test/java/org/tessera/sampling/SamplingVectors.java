package org.tessera.sampling;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.tessera.api.GenerationOptions;
import org.tessera.testing.ReferenceVectors;
import tools.jackson.databind.JsonNode;

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

  static List<Case> read() {
    ReferenceVectors.Tensors tensors = ReferenceVectors.tensors("chat.safetensors");
    List<Case> cases = new ArrayList<>();
    for (JsonNode chat : ReferenceVectors.json("chat.json")) {
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
                tensors.get(name + ".logits_last"),
                tensors.get(probs)));
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
}
