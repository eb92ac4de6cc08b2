package org.tessera.server;

import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.tessera.api.GenerationOptions;

/** How tokens are chosen, from the fields that all endpoints share. */
final class Sampling {
  private static final int MAX_TOP_LOGPROBS = 20;

  private Sampling() {}

  /**
   * @param maxTokens absent for the model's own
   * @param logprobs alternatives to report for each token; 0 for none
   */
  static GenerationOptions options(
      Fields body, ServerLimits limits, OptionalInt maxTokens, int logprobs) {
    if (body.object("logit_bias").filter(bias -> !bias.node().isEmpty()).isPresent()) {
      throw ApiException.unsupported("logit_bias", "logit_bias is not supported");
    }
    OptionalDouble temperature = body.number("temperature", 0, 2);
    GenerationOptions options =
        temperature.orElse(1) == 0 ? GenerationOptions.greedy() : GenerationOptions.sampling();
    if (temperature.isPresent()) {
      options = options.withTemperature((float) temperature.getAsDouble());
    }
    OptionalDouble topP = body.number("top_p", 0, 1);
    if (topP.isPresent()) {
      if (!((float) topP.getAsDouble() > 0)) {
        throw ApiException.invalid("top_p", "top_p must be above 0 and at most 1");
      }
      options = options.withTopP((float) topP.getAsDouble());
    }
    OptionalInt topK = body.integer("top_k", -1, Integer.MAX_VALUE);
    if (topK.isPresent()) {
      options = options.withTopK(Math.max(0, topK.getAsInt())); // -1 is vLLM's "all"
    }
    OptionalDouble penalty = body.number("repetition_penalty", 0.01, 100);
    if (penalty.isPresent()) {
      options = options.withRepetitionPenalty((float) penalty.getAsDouble());
    }
    options =
        options
            .withPresencePenalty((float) body.number("presence_penalty", -2, 2).orElse(0))
            .withFrequencyPenalty((float) body.number("frequency_penalty", -2, 2).orElse(0));
    if (maxTokens.isPresent()) {
      options = options.withMaxNewTokens(maxTokens.getAsInt());
    }
    OptionalInt minTokens = body.integer("min_tokens", 0, Integer.MAX_VALUE); // vLLM's
    if (minTokens.isPresent()) {
      options = options.withMinNewTokens(minTokens.getAsInt());
    }
    OptionalLong seed = body.integer64("seed", Long.MIN_VALUE, Long.MAX_VALUE);
    if (seed.isPresent()) {
      options = options.withSeed(seed.getAsLong());
    }
    return options
        .withStop(
            body.strings("stop", limits.maxStops(), limits.maxStopChars()).toArray(String[]::new))
        .withLogprobs(logprobs);
  }

  static int topLogprobs(Fields body) {
    return body.integer("top_logprobs", 0, MAX_TOP_LOGPROBS).orElse(0);
  }
}
