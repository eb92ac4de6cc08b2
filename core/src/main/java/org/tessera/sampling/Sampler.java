package org.tessera.sampling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.jspecify.annotations.Nullable;
import org.tessera.api.GenerationOptions;
import org.tessera.error.GenerationException;

/**
 * Chooses the tokens of one request, one row of logits after the other, and remembers them.
 *
 * <p>The order is Transformers' (4.40): repetition penalty over the generated tokens, never the
 * prompt's; terminators impossible before {@code min_new_tokens}; temperature; top-k, which keeps
 * all that equal the k-th; top-p, which drops the least likely while together they hold at most
 * {@code 1 - top_p}, of equal ones the lower id first; one draw. Temperature 0 takes the largest
 * score after the penalty, of equal ones the lowest id, and draws nothing.
 *
 * <p>The random numbers are those of {@code L64X128MixRandom} (see package {@code
 * java.util.random}) from the request's seed, one {@code nextDouble} for each sampled token: the
 * same logits and seed give the same tokens, whatever else runs beside them.
 *
 * <p>A {@link TokenConstraint} comes before all of that: what it rules out is as if the model gave
 * it the logit -infinity, in log-probabilities too, as in vLLM. Where it leaves nothing but
 * terminators, {@code min_new_tokens} does not hold.
 *
 * <p>Not thread-safe. Rows are read, never written. After the first tokens nothing is allocated.
 */
public final class Sampler {
  private static final String RANDOM_ALGORITHM = "L64X128MixRandom";

  private final GenerationOptions options;
  private final List<Integer> terminators;
  private final RandomGenerator random;
  private final @Nullable TokenConstraint constraint;

  /** The row with what the constraint rules out at -infinity. */
  private final float[] constrained;

  private boolean mustTerminate;

  private final float dropMass;

  private int[] history = new int[64];
  private int generatedTokens;

  /** The row after penalties. */
  private final float[] scores;

  private final TopK topK;

  /**
   * Tokens that may be drawn, {@code candidateCount} of them: the bits of the weight (positive, so
   * that they order as the weight does) above the token id. Weights are relative to the likeliest
   * token's and add up to {@code mass}.
   */
  private long[] candidates;

  private int candidateCount;
  private double mass;

  /**
   * @param terminators token ids that end an answer
   * @param vocabSize logits in a row
   * @throws GenerationException where a terminator is not in the vocabulary
   */
  public Sampler(GenerationOptions options, Set<Integer> terminators, int vocabSize) {
    this(options, terminators, vocabSize, null);
  }

  /**
   * As {@link #Sampler(GenerationOptions, Set, int)}, for an answer that must keep to a constraint.
   *
   * @param constraint of this answer alone, or null
   */
  public Sampler(
      GenerationOptions options,
      Set<Integer> terminators,
      int vocabSize,
      @Nullable TokenConstraint constraint) {
    this.options = options;
    this.constraint = constraint;
    constrained = new float[constraint == null ? 0 : vocabSize];
    this.terminators = Logits.requireTerminators(terminators, vocabSize);
    RandomGeneratorFactory<RandomGenerator> factory = RandomGeneratorFactory.of(RANDOM_ALGORITHM);
    random =
        options.seed().isPresent() ? factory.create(options.seed().getAsLong()) : factory.create();
    dropMass = Logits.dropMass(options);
    scores = new float[vocabSize];
    boolean sampling = options.temperature() > 0;
    boolean limited = options.topK() > 0 && options.topK() < vocabSize;
    topK = new TopK(sampling && limited ? options.topK() : 0);
    candidates = new long[!sampling ? 0 : limited ? options.topK() : vocabSize];
  }

  /**
   * Chooses the next token and remembers it.
   *
   * @param logits [vocabSize]
   * @throws GenerationException where a logit is NaN or +infinity, or no token is possible
   */
  public int next(float[] logits) {
    int tokenId = pick(constrain(logits));
    accept(tokenId);
    return tokenId;
  }

  /**
   * As {@link #next}, with the log-probabilities of the token and of the {@code logprobs} likeliest
   * ones.
   */
  public TokenChoice choose(float[] row) {
    float[] logits = constrain(row);
    int tokenId = pick(logits);
    double logSumExp = Logits.logSumExp(logits);
    TopK likeliest = new TopK(options.logprobs());
    likeliest.offerAll(logits, 0f, 0);
    likeliest.sort();
    List<TokenChoice.Alternative> top = new ArrayList<>();
    for (int rank = 0; rank < likeliest.size(); rank++) {
      if (likeliest.score(rank) == Float.NEGATIVE_INFINITY) {
        break;
      }
      top.add(new TokenChoice.Alternative(likeliest.id(rank), likeliest.score(rank) - logSumExp));
    }
    accept(tokenId);
    return new TokenChoice(tokenId, logits[tokenId] - logSumExp, top);
  }

  /**
   * The probabilities [vocabSize] from which {@link #next} would draw now; 1 for the one token of
   * temperature 0. Changes nothing.
   */
  public float[] distribution(float[] row) {
    float[] logits = constrain(row);
    float[] probabilities = new float[scores.length];
    if (options.temperature() == 0) {
      probabilities[pick(logits)] = 1;
      return probabilities;
    }
    filter(logits);
    for (int i = 0; i < candidateCount; i++) {
      probabilities[tokenId(candidates[i])] = (float) (weight(candidates[i]) / mass);
    }
    return probabilities;
  }

  /**
   * Whether {@link #next} would return the first of the largest logits whatever they are: nothing
   * is drawn, penalised or ruled out.
   */
  public boolean takesLikeliest() {
    return options.temperature() == 0
        && (generatedTokens == 0 || !Logits.penalises(options))
        && generatedTokens >= options.minNewTokens()
        && constraint == null;
  }

  /**
   * In place of {@link #next} where {@link #takesLikeliest}: remembers the first of the largest
   * logits, which somebody else has found.
   *
   * @param tokenId or what {@link org.tessera.ops.Ops#argmax} gives where there is none
   * @throws GenerationException where there is none
   */
  public int takeLikeliest(int tokenId) {
    Logits.requireToken(tokenId, scores.length);
    accept(tokenId);
    return tokenId;
  }

  /** Counts a token that was generated otherwise, such as the start of a continued answer. */
  public void accept(int tokenId) {
    if (tokenId < 0 || tokenId >= scores.length) {
      throw new GenerationException(
          "token id %d is outside of the vocabulary of %d tokens"
              .formatted(tokenId, scores.length));
    }
    if (constraint != null) {
      constraint.accept(tokenId);
    }
    if (generatedTokens == history.length) {
      history = Arrays.copyOf(history, 2 * history.length);
    }
    history[generatedTokens++] = tokenId;
  }

  /** Tokens chosen or accepted so far. */
  public int generatedTokens() {
    return generatedTokens;
  }

  /** The row itself where nothing constrains it. */
  private float[] constrain(float[] logits) {
    if (constraint == null) {
      return logits;
    }
    Logits.requireVocabulary(logits, scores.length);
    Logits.max(logits); // refuses a row that holds NaN, even where it would be ruled out
    long[] allowed = constraint.allowed();
    int allowedTokens = 0;
    for (int word = 0, from = 0; from < logits.length; word++, from += Long.SIZE) {
      long bits = allowed[word];
      int to = Math.min(from + Long.SIZE, logits.length);
      if (bits == 0) {
        Arrays.fill(constrained, from, to, Float.NEGATIVE_INFINITY);
        continue;
      }
      allowedTokens += Long.bitCount(bits);
      for (int id = from; id < to; id++) {
        constrained[id] = (bits >>> id & 1) == 0 ? Float.NEGATIVE_INFINITY : logits[id];
      }
    }
    for (int id : terminators) {
      allowedTokens -= (int) (allowed[id >> 6] >>> id & 1);
    }
    mustTerminate = allowedTokens == 0;
    return constrained;
  }

  private int pick(float[] logits) {
    if (options.temperature() > 0) {
      filter(logits);
      return draw();
    }
    float max = process(logits);
    int tokenId = 0;
    while (scores[tokenId] != max) {
      tokenId++;
    }
    return tokenId;
  }

  /** Penalties and impossible tokens: fills {@link #scores} and returns the largest. */
  private float process(float[] logits) {
    Logits.requireVocabulary(logits, scores.length);
    float max = Logits.max(logits);
    System.arraycopy(logits, 0, scores, 0, scores.length);
    boolean early = generatedTokens < options.minNewTokens() && !mustTerminate;
    if (!Logits.penalises(options) && !early) {
      return max;
    }
    for (int i = 0; i < generatedTokens; i++) {
      // From the logit, not from the score: a token that came twice is penalised once.
      int id = history[i];
      scores[id] =
          Logits.penalised(logits[id], options.repetitionPenalty()) - options.presencePenalty();
    }
    for (int i = 0; i < generatedTokens && options.frequencyPenalty() != 0; i++) {
      scores[history[i]] -= options.frequencyPenalty();
    }
    if (early) {
      for (int id : terminators) {
        scores[id] = Float.NEGATIVE_INFINITY;
      }
    }
    return Logits.max(scores);
  }

  private void filter(float[] logits) {
    float max = process(logits);
    float lowest = Float.NEGATIVE_INFINITY;
    if (options.topK() > 0 && options.topK() < scores.length) {
      topK.clear();
      topK.offerAll(scores, 0f, 0);
      lowest = topK.worst();
    }
    candidateCount = 0;
    mass = 0;
    for (int id = 0; id < scores.length; id++) {
      if (scores[id] >= lowest) {
        // Less the maximum before the division: no temperature, however small, can overflow.
        addCandidate(id, (float) Math.exp(((double) scores[id] - max) / options.temperature()));
      }
    }
    if (options.topP() < 1) {
      keepNucleus();
    }
  }

  private void addCandidate(int tokenId, float weight) {
    if (weight == 0) {
      return;
    }
    if (candidateCount == candidates.length) { // more tokens equal the k-th
      candidates = Arrays.copyOf(candidates, scores.length);
    }
    candidates[candidateCount++] = (long) Float.floatToRawIntBits(weight) << 32 | tokenId;
    mass += weight;
  }

  private void keepNucleus() {
    // All tokens below this weight together hold at most half of what may be dropped: they go
    // whatever their order, and only the few others need sorting.
    double negligible = dropMass * mass / (2.0 * candidateCount);
    double dropped = 0;
    int kept = 0;
    for (int i = 0; i < candidateCount; i++) {
      if (weight(candidates[i]) < negligible) {
        dropped += weight(candidates[i]);
      } else {
        candidates[kept++] = candidates[i];
      }
    }
    Arrays.sort(candidates, 0, kept);
    int first = 0;
    for (; first < kept - 1; first++) {
      dropped += weight(candidates[first]);
      if ((float) (dropped / mass) > dropMass) {
        break;
      }
    }
    candidateCount = kept - first;
    System.arraycopy(candidates, first, candidates, 0, candidateCount);
    mass = 0;
    for (int i = 0; i < candidateCount; i++) {
      mass += weight(candidates[i]);
    }
  }

  /** Walks the cumulative weights from the end, where top-p has put the likeliest. */
  private int draw() {
    double left = random.nextDouble() * mass;
    int i = candidateCount;
    do {
      i--;
      left -= weight(candidates[i]);
    } while (left >= 0 && i > 0);
    return tokenId(candidates[i]);
  }

  private static float weight(long candidate) {
    return Float.intBitsToFloat((int) (candidate >>> 32));
  }

  private static int tokenId(long candidate) {
    return (int) candidate;
  }
}
