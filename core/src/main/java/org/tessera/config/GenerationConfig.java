package org.tessera.config;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * generation_config.json. MiniCPM-V's own {@code chat()} does not consult it, so that nothing here
 * changes an answer unless a caller asks for it; every key may be absent.
 *
 * @param eosTokenId ids that end a generation; the file may hold one or a list
 */
public record GenerationConfig(
    OptionalInt bosTokenId,
    List<Integer> eosTokenId,
    OptionalInt padTokenId,
    Optional<Boolean> doSample,
    OptionalInt maxNewTokens,
    Optional<Double> temperature,
    Optional<Double> topP,
    OptionalInt topK,
    Optional<Double> repetitionPenalty) {

  static final String FILE = "generation_config.json";

  public GenerationConfig {
    eosTokenId = List.copyOf(eosTokenId);
  }

  static GenerationConfig of(JsonObject json) {
    return new GenerationConfig(
        json.optionalInteger("bos_token_id", 0, Limits.VOCABULARY),
        eosTokenIds(json),
        json.optionalInteger("pad_token_id", 0, Limits.VOCABULARY),
        json.optionalBool("do_sample"),
        json.optionalInteger("max_new_tokens", 1, Limits.POSITIONS),
        json.optionalNumber("temperature", 0, 1e3),
        json.optionalNumber("top_p", 0, 1),
        json.optionalInteger("top_k", 0, Limits.VOCABULARY),
        json.optionalNumber("repetition_penalty", 1e-3, 1e3));
  }

  private static List<Integer> eosTokenIds(JsonObject json) {
    if (!json.has("eos_token_id")) {
      return List.of();
    }
    return json.isArray("eos_token_id")
        ? json.integers("eos_token_id", 0, Limits.VOCABULARY)
        : List.of(json.integer("eos_token_id", 0, Limits.VOCABULARY));
  }
}
