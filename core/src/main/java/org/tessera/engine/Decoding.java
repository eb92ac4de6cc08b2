package org.tessera.engine;

import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.sampling.BeamSearch;
import org.tessera.sampling.Sampler;
import org.tessera.sampling.TokenChoice;
import org.tessera.sampling.TokenConstraint;

/** How a generation goes from logits to its next tokens: one sequence sampled, or several beams. */
sealed interface Decoding {
  /** What follows when the logits of every sequence, [sequences][vocab_size], are known. */
  Next advance(float[][] logits);

  /** What to report of an answer that must end before it is finished. */
  List<TokenChoice> best();

  static Decoding of(EngineRequest request, int vocabSize) {
    GenerationOptions options = request.options();
    Set<Integer> terminators = request.terminators();
    if (options.numBeams() > 1) {
      return new Beams(options, new BeamSearch(options, terminators, vocabSize), terminators);
    }
    TokenConstraint constraint = request.constraint().map(Supplier::get).orElse(null);
    return new Sampled(
        options, new Sampler(options, terminators, vocabSize, constraint), terminators);
  }

  /**
   * New sequence {@code i} continues old sequence {@code parents[i]} with {@code tokenIds[i]}.
   *
   * @param choices tokens that are certain now and can be reported
   * @param finished whether the answer ends with them
   */
  @SuppressWarnings("ArrayRecordComponent") // lives for one step
  record Next(
      List<TokenChoice> choices,
      int[] parents,
      int[] tokenIds,
      boolean finished,
      FinishReason finishReason) {}

  /** One sequence; every token is reported at once. */
  final class Sampled implements Decoding {
    private static final int[] ONLY_PARENT = {0};

    private final GenerationOptions options;
    private final Sampler sampler;
    private final Set<Integer> terminators;

    Sampled(GenerationOptions options, Sampler sampler, Set<Integer> terminators) {
      this.options = options;
      this.sampler = sampler;
      this.terminators = terminators;
    }

    @Override
    public Next advance(float[][] logits) {
      // Log-probabilities take a pass of exponentials over the vocabulary.
      TokenChoice choice =
          options.logprobs() > 0
              ? sampler.choose(logits[0])
              : new TokenChoice(sampler.next(logits[0]), Double.NaN, List.of());
      boolean terminated = terminators.contains(choice.tokenId());
      boolean full = sampler.generatedTokens() >= options.maxNewTokens();
      return new Next(
          List.of(choice),
          ONLY_PARENT,
          new int[] {choice.tokenId()},
          terminated || full,
          full && !terminated ? FinishReason.LENGTH : FinishReason.STOP);
    }

    @Override
    public List<TokenChoice> best() {
      return List.of();
    }
  }

  /** Beam search; tokens are reported when the best hypothesis is known. */
  final class Beams implements Decoding {
    private final GenerationOptions options;
    private final BeamSearch search;
    private final Set<Integer> terminators;

    Beams(GenerationOptions options, BeamSearch search, Set<Integer> terminators) {
      this.options = options;
      this.search = search;
      this.terminators = terminators;
    }

    @Override
    public Next advance(float[][] logits) {
      return switch (search.advance(logits)) {
        case BeamSearch.Step.Continue(int[] parents, int[] tokenIds) ->
            new Next(List.of(), parents, tokenIds, false, FinishReason.STOP);
        case BeamSearch.Step.Finished() -> {
          List<TokenChoice> best = best();
          boolean full =
              best.size() >= options.maxNewTokens()
                  && !terminators.contains(best.getLast().tokenId());
          yield new Next(
              best, new int[0], new int[0], true, full ? FinishReason.LENGTH : FinishReason.STOP);
        }
      };
    }

    @Override
    public List<TokenChoice> best() {
      return search.best().stream().map(id -> new TokenChoice(id, Double.NaN, List.of())).toList();
    }
  }
}
