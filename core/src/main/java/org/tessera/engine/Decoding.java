package org.tessera.engine;

import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.ops.SamplingParameters;
import org.tessera.sampling.BeamSearch;
import org.tessera.sampling.DeviceSampler;
import org.tessera.sampling.Sampler;
import org.tessera.sampling.TokenChoice;
import org.tessera.sampling.TokenConstraint;

/** How a generation goes from logits to its next tokens: one sequence sampled, or several beams. */
sealed interface Decoding {
  /** What the next step is to say of each sequence. */
  Demand demand();

  /** What follows from the answer to {@link #demand} for every sequence. */
  Next advance(List<Scores> scores);

  /** Its generation runs from now on, until {@link #suspend}. */
  default void resume(CountRows rows) {}

  /** Its generation stops running, for good or to be computed again. */
  default void suspend() {}

  /** What to report of an answer that must end before it is finished. */
  List<TokenChoice> best();

  /**
   * @param samplesOnDevice whether the device chooses tokens where it can
   */
  static Decoding of(EngineRequest request, int vocabSize, boolean samplesOnDevice) {
    GenerationOptions options = request.options();
    Set<Integer> terminators = request.terminators();
    if (options.numBeams() > 1) {
      return new Beams(options, new BeamSearch(options, terminators, vocabSize), terminators);
    }
    if (samplesOnDevice
        && request.constraint().isEmpty()
        && DeviceSampler.covers(options, terminators)) {
      return new SampledOnDevice(
          options, new DeviceSampler(options, terminators, vocabSize), terminators);
    }
    TokenConstraint constraint = request.constraint().map(Supplier::get).orElse(null);
    return new Sampled(
        options, new Sampler(options, terminators, vocabSize, constraint), terminators);
  }

  /** What a step has to say of a sequence whose last position it computes. */
  sealed interface Demand {
    /** The logits of every token. */
    record Logits() implements Demand {}

    /** The likeliest token. */
    record Likeliest() implements Demand {}

    /**
     * A token, chosen by these parameters.
     *
     * @param recount tokens that the row of counts must be set to first, or null where it holds
     *     them
     */
    @SuppressWarnings("ArrayRecordComponent") // lives for one step
    record Sampled(SamplingParameters parameters, int @Nullable [] recount) implements Demand {}
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
      FinishReason finishReason) {
    private static final int[] ONLY_PARENT = {0};

    /** The only sequence goes on with a token, or ends with it. */
    static Next of(
        TokenChoice choice,
        int generatedTokens,
        GenerationOptions options,
        Set<Integer> terminators) {
      boolean terminated = terminators.contains(choice.tokenId());
      boolean full = generatedTokens >= options.maxNewTokens();
      return new Next(
          List.of(choice),
          ONLY_PARENT,
          new int[] {choice.tokenId()},
          terminated || full,
          full && !terminated ? FinishReason.LENGTH : FinishReason.STOP);
    }
  }

  private static TokenChoice unweighed(int tokenId) {
    return new TokenChoice(tokenId, Double.NaN, List.of());
  }

  /** One sequence, sampled on the host; every token is reported at once. */
  final class Sampled implements Decoding {
    private final GenerationOptions options;
    private final Sampler sampler;
    private final Set<Integer> terminators;

    Sampled(GenerationOptions options, Sampler sampler, Set<Integer> terminators) {
      this.options = options;
      this.sampler = sampler;
      this.terminators = terminators;
    }

    @Override
    public Demand demand() {
      return options.logprobs() == 0 && sampler.takesLikeliest()
          ? new Demand.Likeliest()
          : new Demand.Logits();
    }

    @Override
    public Next advance(List<Scores> scores) {
      TokenChoice choice =
          switch (scores.getFirst()) {
            // Log-probabilities take a pass of exponentials over the vocabulary.
            case Scores.Logits(float[] logits) when options.logprobs() > 0 ->
                sampler.choose(logits);
            case Scores.Logits(float[] logits) -> unweighed(sampler.next(logits));
            case Scores.Chosen(int tokenId) -> unweighed(sampler.takeLikeliest(tokenId));
          };
      return Next.of(choice, sampler.generatedTokens(), options, terminators);
    }

    @Override
    public List<TokenChoice> best() {
      return List.of();
    }
  }

  /** One sequence whose tokens the device chooses; every token is reported at once. */
  final class SampledOnDevice implements Decoding {
    private final GenerationOptions options;
    private final DeviceSampler sampler;
    private final Set<Integer> terminators;
    private CountRows.@Nullable Lease counts;

    SampledOnDevice(GenerationOptions options, DeviceSampler sampler, Set<Integer> terminators) {
      this.options = options;
      this.sampler = sampler;
      this.terminators = terminators;
    }

    @Override
    public void resume(CountRows rows) {
      if (sampler.counts()) {
        counts = rows.lease();
      }
    }

    @Override
    public void suspend() {
      if (counts != null) {
        counts.close();
        counts = null;
      }
    }

    @Override
    public Demand demand() {
      if (sampler.takesLikeliest()) {
        return new Demand.Likeliest();
      }
      if (counts == null) {
        return new Demand.Sampled(sampler.next(SamplingParameters.NO_COUNTS), null);
      }
      return new Demand.Sampled(
          sampler.next(counts.row()), counts.takeStale() ? sampler.history() : null);
    }

    @Override
    public Next advance(List<Scores> scores) {
      int tokenId = ((Scores.Chosen) scores.getFirst()).tokenId();
      sampler.accept(tokenId);
      return Next.of(unweighed(tokenId), sampler.generatedTokens(), options, terminators);
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
    public Demand demand() {
      return new Demand.Logits();
    }

    @Override
    public Next advance(List<Scores> scores) {
      float[][] logits =
          scores.stream().map(row -> ((Scores.Logits) row).values()).toArray(float[][]::new);
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
