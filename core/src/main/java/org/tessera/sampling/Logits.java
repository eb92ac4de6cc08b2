package org.tessera.sampling;

import java.util.List;
import java.util.Set;
import org.tessera.api.GenerationOptions;
import org.tessera.error.GenerationException;
import org.tessera.ops.Ops;

/** Arithmetic over one row of logits that sampling and beam search share. */
final class Logits {
  private Logits() {}

  /**
   * The largest of a row.
   *
   * @throws GenerationException where a logit is NaN or +infinity, or all are -infinity
   */
  static float max(float[] logits) {
    float max = Float.NEGATIVE_INFINITY;
    for (float logit : logits) {
      max = Math.max(max, logit); // NaN wins
    }
    if (Float.isFinite(max)) {
      return max;
    }
    if (max == Float.NEGATIVE_INFINITY) {
      throw new GenerationException(
          "no token can be chosen: all %d logits are -infinity".formatted(logits.length));
    }
    throw new GenerationException(
        "the model's logits hold %s (token id %d), so its weights or activations overflowed: check"
                .formatted(max, indexOf(logits, max))
            + " the checkpoint or compute in a wider type");
  }

  /** Natural logarithm of the sum of exponentials, in double precision. */
  static double logSumExp(float[] logits) {
    double max = max(logits);
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - max);
    }
    return max + Math.log(sum);
  }

  /** Transformers' {@code RepetitionPenaltyLogitsProcessor}, for one score; never +infinity. */
  static float penalised(float score, float penalty) {
    return score > 0 ? Math.min(score / penalty, Float.MAX_VALUE) : score * penalty;
  }

  /** Whether a token's score depends on what was generated. */
  static boolean penalises(GenerationOptions options) {
    return options.repetitionPenalty() != 1
        || options.presencePenalty() != 0
        || options.frequencyPenalty() != 0;
  }

  /** What top-p may drop: 1 - top_p in decimal as Python takes it, then float as PyTorch does. */
  static float dropMass(GenerationOptions options) {
    return (float) (1 - Double.parseDouble(Float.toString(options.topP())));
  }

  /**
   * A token that a device has chosen.
   *
   * @throws GenerationException where it found none
   */
  static void requireToken(int tokenId, int vocabSize) {
    if (tokenId == Ops.NOT_FINITE) {
      throw new GenerationException(
          "the model's logits hold a value that is not finite, so its weights or activations"
              + " overflowed: check the checkpoint or compute in a wider type");
    }
    if (tokenId == Ops.NO_TOKEN) {
      throw new GenerationException(
          "no token can be chosen: all %d logits are -infinity".formatted(vocabSize));
    }
  }

  static void requireVocabulary(float[] logits, int vocabSize) {
    if (logits.length != vocabSize) {
      throw new GenerationException(
          "a row holds %d logits, but the vocabulary has %d tokens"
              .formatted(logits.length, vocabSize));
    }
  }

  /** The terminators in ascending order, each within the vocabulary. */
  static List<Integer> requireTerminators(Set<Integer> terminators, int vocabSize) {
    for (int id : terminators) {
      if (id < 0 || id >= vocabSize) {
        throw new GenerationException(
            "terminator id %d is outside of the vocabulary of %d tokens".formatted(id, vocabSize));
      }
    }
    return terminators.stream().sorted().toList();
  }

  private static int indexOf(float[] logits, float value) {
    int id = 0;
    while (Float.compare(logits[id], value) != 0) {
      id++;
    }
    return id;
  }
}
