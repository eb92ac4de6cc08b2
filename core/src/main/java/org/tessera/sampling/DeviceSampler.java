package org.tessera.sampling;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.tessera.api.GenerationOptions;
import org.tessera.error.GenerationException;
import org.tessera.ops.SamplingParameters;

/**
 * The tokens of one request that a device chooses by {@link org.tessera.ops.Ops#sample}: says how
 * the next one is to be chosen, and remembers those that were.
 *
 * <p>The distributions are those of {@link Sampler} up to the rounding of weights. The random
 * numbers are others, so a seed gives other tokens here than there: which of the two a request gets
 * depends on the device and on the request's own options alone.
 *
 * <p>Not thread-safe.
 */
public final class DeviceSampler {
  private final GenerationOptions options;
  private final int vocabSize;
  private final long seed;
  private final float dropMass;

  /** Empty where {@code min_new_tokens} does not need them. */
  private final int[] terminators;

  private int[] history = new int[64];
  private int generatedTokens;

  /**
   * @param terminators token ids that end an answer
   * @param vocabSize logits in a row
   * @throws GenerationException where a terminator is not in the vocabulary
   * @throws IllegalArgumentException unless {@link #covers} says yes
   */
  public DeviceSampler(GenerationOptions options, Set<Integer> terminators, int vocabSize) {
    if (!covers(options, terminators)) {
      throw new IllegalArgumentException("a device cannot sample by " + options);
    }
    this.options = options;
    this.vocabSize = vocabSize;
    List<Integer> ids = Logits.requireTerminators(terminators, vocabSize);
    this.terminators =
        ids.stream().limit(options.minNewTokens() == 0 ? 0 : ids.size()).mapToInt(i -> i).toArray();
    seed = options.seed().orElseGet(() -> ThreadLocalRandom.current().nextLong());
    dropMass = Logits.dropMass(options);
  }

  /** Whether a device can do all that the options ask for. */
  public static boolean covers(GenerationOptions options, Set<Integer> terminators) {
    return options.numBeams() == 1
        && options.logprobs() == 0
        && (options.minNewTokens() == 0
            || terminators.size() <= SamplingParameters.MAX_TERMINATORS);
  }

  /** Whether the first of the largest logits is the next token, so that nothing need be sampled. */
  public boolean takesLikeliest() {
    return options.temperature() == 0 && !counts() && generatedTokens >= options.minNewTokens();
  }

  /** Whether the device must know how often each token was generated. */
  public boolean counts() {
    return Logits.penalises(options);
  }

  /**
   * How the next token is to be chosen.
   *
   * @param countRow of the device's counts that holds what was generated, or {@link
   *     SamplingParameters#NO_COUNTS} unless this {@link #counts}
   */
  public SamplingParameters next(int countRow) {
    return new SamplingParameters(
        options.temperature(),
        options.topK(),
        dropMass,
        options.repetitionPenalty(),
        options.presencePenalty(),
        options.frequencyPenalty(),
        seed,
        countRow,
        options.minNewTokens(),
        generatedTokens,
        terminators);
  }

  /**
   * Remembers what the device chose.
   *
   * @param tokenId or what {@link org.tessera.ops.Ops#sample} gives where there is none
   * @throws GenerationException where there is none
   */
  public void accept(int tokenId) {
    Logits.requireToken(tokenId, vocabSize);
    if (generatedTokens == history.length) {
      history = Arrays.copyOf(history, 2 * history.length);
    }
    history[generatedTokens++] = tokenId;
  }

  /** The tokens so far. */
  public int[] history() {
    return Arrays.copyOf(history, generatedTokens);
  }

  /** Tokens accepted so far. */
  public int generatedTokens() {
    return generatedTokens;
  }
}
