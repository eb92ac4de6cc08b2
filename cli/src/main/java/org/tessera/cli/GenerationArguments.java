package org.tessera.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.api.GenerationOptions;
import picocli.CommandLine.Option;

/** How tokens are chosen, under Transformers' names. */
final class GenerationArguments {
  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "Divides the logits; 0 is greedy, without a penalty unless one is given (0.7).")
  Optional<Float> temperature = Optional.empty();

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Keep the likeliest tokens that together reach P (0.8).")
  Optional<Float> topP = Optional.empty();

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Keep the K likeliest tokens; 0 keeps all (100).")
  Optional<Integer> topK = Optional.empty();

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      description = "For tokens generated already; 1 is none (1.05, with beams 1.2).")
  Optional<Float> repetitionPenalty = Optional.empty();

  @Option(
      names = "--num-beams",
      paramLabel = "N",
      description = "Above 1: beam search instead of sampling (1).")
  Optional<Integer> numBeams = Optional.empty();

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      description = "Tokens of the answer at most (2048).")
  Optional<Integer> maxNewTokens = Optional.empty();

  @Option(
      names = "--min-new-tokens",
      paramLabel = "N",
      description = "The answer does not end before this many tokens (0).")
  Optional<Integer> minNewTokens = Optional.empty();

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "End the answer before TEXT; may be repeated.")
  List<String> stop = new ArrayList<>();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of the random numbers, so that an answer can be had again.")
  Optional<Long> seed = Optional.empty();

  @Option(
      names = "--logprobs",
      paramLabel = "N",
      description =
          "With --json: log-probabilities of each token and its N likeliest alternatives.")
  Optional<Integer> logprobs = Optional.empty();

  /**
   * The preset that the options ask for (sampling, beams, greedy) with what was given in its place.
   *
   * @throws org.tessera.error.InvalidRequestException where a value is out of range
   */
  GenerationOptions toOptions() {
    GenerationOptions options = preset();
    if (numBeams.isPresent()) {
      options = options.withNumBeams(numBeams.get());
    }
    // The maximum first: the minimum is checked against it.
    if (maxNewTokens.isPresent()) {
      options = options.withMaxNewTokens(maxNewTokens.get());
    }
    if (minNewTokens.isPresent()) {
      options = options.withMinNewTokens(minNewTokens.get());
    }
    if (temperature.isPresent()) {
      options = options.withTemperature(temperature.get());
    }
    if (topK.isPresent()) {
      options = options.withTopK(topK.get());
    }
    if (topP.isPresent()) {
      options = options.withTopP(topP.get());
    }
    if (repetitionPenalty.isPresent()) {
      options = options.withRepetitionPenalty(repetitionPenalty.get());
    }
    if (seed.isPresent()) {
      options = options.withSeed(seed.get());
    }
    if (logprobs.isPresent()) {
      options = options.withLogprobs(logprobs.get());
    }
    return options.withStop(stop.toArray(String[]::new));
  }

  private GenerationOptions preset() {
    if (numBeams.orElse(1) > 1) {
      return GenerationOptions.beamSearch();
    }
    return temperature.orElse(1f) == 0 ? GenerationOptions.greedy() : GenerationOptions.sampling();
  }
}
