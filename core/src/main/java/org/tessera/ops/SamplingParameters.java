package org.tessera.ops;

/**
 * How {@link Ops#sample} chooses the next token of a row. All arithmetic is IEEE 754's in fp32
 * unless said otherwise, rounded to nearest after every operation, so that all devices choose the
 * same token from the same logits:
 *
 * <ol>
 *   <li>A token that was generated {@code count > 0} times: its score, the logit, is divided by
 *       {@code repetitionPenalty} where it is above 0, to at most the largest finite number, and
 *       multiplied by it elsewhere; then it loses {@code fma(count, frequencyPenalty,
 *       presencePenalty)}.
 *   <li>While {@code generated < minNewTokens} terminators have the score -infinity.
 *   <li>Temperature 0 takes the largest score, of equal ones the lowest id, and that is all.
 *   <li>Top-k keeps all tokens whose score is at least the k-th largest.
 *   <li>A kept token weighs {@code floor(2^44 e^x)} with {@code x = (score - largest score) /
 *       temperature}, an integer. The exponential is Taylor's series up to the seventh power after
 *       {@code x = n ln 2 + r}, in fused multiply-adds: to the last bit as {@code
 *       org.tessera.cpu.ScalarOps} computes it.
 *   <li>Top-p drops tokens, the least score first, of equal ones the lower id, while {@code (float)
 *       ((double) dropped weight / (double) weight of all that top-k kept) <= dropMass}; one is
 *       left at least.
 *   <li>With the random number {@code r}, the first two words {@code r0, r1} of Philox4x32-10 under
 *       the key {@code seed} and the counter {@code (generated, 0, 0, 0)} as {@code r1 * 2^32 +
 *       r0}, the token is the first by id at which the sum of kept weights exceeds {@code floor(r *
 *       sum of all kept weights / 2^64)}.
 * </ol>
 *
 * <p>The order of steps is {@link org.tessera.sampling.Sampler}'s; its weights are floats and its
 * random numbers others.
 *
 * @param temperature below 0 leaves the row alone
 * @param topK 0 is off
 * @param dropMass 1 - top_p; 0 is off
 * @param repetitionPenalty 1 is off
 * @param presencePenalty 0 is off
 * @param frequencyPenalty 0 is off
 * @param countRow of the counts, which has how often the sequence's tokens were generated; -1:
 *     none, and no penalties
 * @param generated tokens so far
 * @param terminators ids; at most {@link #MAX_TERMINATORS}
 */
@SuppressWarnings("ArrayRecordComponent") // lives for one step
public record SamplingParameters(
    float temperature,
    int topK,
    float dropMass,
    float repetitionPenalty,
    float presencePenalty,
    float frequencyPenalty,
    long seed,
    int countRow,
    int minNewTokens,
    int generated,
    int... terminators) {
  public static final int MAX_TERMINATORS = 5;

  /** Ints that {@link #write} writes: 64 bytes. */
  public static final int INTS = 11 + MAX_TERMINATORS;

  /** The place among the ints of {@code generated}. */
  public static final int GENERATED = 10;

  /** What {@code countRow} is where there is none. */
  public static final int NO_COUNTS = -1;

  /** The largest logit's token. */
  public static final SamplingParameters LIKELIEST = plain(0);

  /** For rows of which no token is wanted. */
  public static final SamplingParameters NOTHING = plain(-1);

  private static final int NO_TERMINATOR = -1;

  public SamplingParameters {
    if (terminators.length > MAX_TERMINATORS) {
      throw new IllegalArgumentException(
          "%d terminators, a row has room for %d".formatted(terminators.length, MAX_TERMINATORS));
    }
  }

  private static SamplingParameters plain(float temperature) {
    return new SamplingParameters(temperature, 0, 0, 1, 0, 0, 0, NO_COUNTS, 0, 0);
  }

  /** Writes this as {@link #INTS} ints, floats by their bits and the seed's low half first. */
  public void write(int[] target, int at) {
    target[at] = Float.floatToRawIntBits(temperature);
    target[at + 1] = topK;
    target[at + 2] = Float.floatToRawIntBits(dropMass);
    target[at + 3] = Float.floatToRawIntBits(repetitionPenalty);
    target[at + 4] = Float.floatToRawIntBits(presencePenalty);
    target[at + 5] = Float.floatToRawIntBits(frequencyPenalty);
    target[at + 6] = (int) seed;
    target[at + 7] = (int) (seed >>> Integer.SIZE);
    target[at + 8] = countRow;
    target[at + 9] = minNewTokens;
    target[at + GENERATED] = generated;
    for (int i = 0; i < MAX_TERMINATORS; i++) {
      target[at + GENERATED + 1 + i] = i < terminators.length ? terminators[i] : NO_TERMINATOR;
    }
  }

  /** What {@link #write} wrote. */
  public static SamplingParameters read(int[] source, int at) {
    int count = 0;
    while (count < MAX_TERMINATORS && source[at + GENERATED + 1 + count] != NO_TERMINATOR) {
      count++;
    }
    int[] terminators = new int[count];
    System.arraycopy(source, at + GENERATED + 1, terminators, 0, count);
    return new SamplingParameters(
        Float.intBitsToFloat(source[at]),
        source[at + 1],
        Float.intBitsToFloat(source[at + 2]),
        Float.intBitsToFloat(source[at + 3]),
        Float.intBitsToFloat(source[at + 4]),
        Float.intBitsToFloat(source[at + 5]),
        source[at + 6] & 0xffffffffL | (long) source[at + 7] << Integer.SIZE,
        source[at + 8],
        source[at + 9],
        source[at + GENERATED],
        terminators);
  }
}
