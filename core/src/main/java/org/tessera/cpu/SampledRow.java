package org.tessera.cpu;

import java.util.Arrays;
import org.tessera.ops.Ops;
import org.tessera.ops.SamplingParameters;
import org.tessera.tensor.Tensor;

/** {@link Ops#sample} of one row, step by step as {@link SamplingParameters} has them. */
final class SampledRow {
  private static final int WEIGHT_BITS = 44;

  private final SamplingParameters parameters;
  private final float[] scores;

  /** Whether top-k and top-p keep a token. */
  private final boolean[] kept;

  private float largest = Float.NEGATIVE_INFINITY;

  private SampledRow(SamplingParameters parameters, int vocabulary) {
    this.parameters = parameters;
    scores = new float[vocabulary];
    kept = new boolean[vocabulary];
    Arrays.fill(kept, true);
  }

  /** All rows. */
  static void sample(Tensor logits, Tensor parameters, Tensor counts, Tensor ids) {
    SamplingParameters[] rows = Arguments.sample(logits, parameters, counts, ids);
    for (int row = 0; row < rows.length; row++) {
      if (rows[row].temperature() < 0) {
        continue;
      }
      int id = new SampledRow(rows[row], logits.columns()).choose(logits, row, counts);
      Elements.setInt(ids, 0, row, id);
      if (id >= 0) {
        Elements.setInt(parameters, row, SamplingParameters.GENERATED, rows[row].generated() + 1);
        int countRow = rows[row].countRow();
        if (countRow >= 0) {
          Elements.setInt(counts, countRow, id, Elements.getInt(counts, countRow, id) + 1);
        }
      }
    }
  }

  private int choose(Tensor logits, int row, Tensor counts) {
    for (int id = 0; id < scores.length; id++) {
      float logit = Elements.get(logits, row, id);
      if (!(logit < Float.POSITIVE_INFINITY)) {
        return Ops.NOT_FINITE;
      }
      int countRow = parameters.countRow();
      scores[id] = penalised(logit, countRow < 0 ? 0 : Elements.getInt(counts, countRow, id));
    }
    if (parameters.generated() < parameters.minNewTokens()) {
      for (int id : parameters.terminators()) {
        if (id < scores.length) {
          scores[id] = Float.NEGATIVE_INFINITY;
        }
      }
    }
    int best = Ops.NO_TOKEN;
    for (int id = 0; id < scores.length; id++) {
      if (scores[id] > largest) {
        largest = scores[id];
        best = id;
      }
    }
    if (best == Ops.NO_TOKEN || parameters.temperature() == 0) {
      return best;
    }
    keepTopK();
    keepTopP();
    return draw();
  }

  private float penalised(float logit, int count) {
    if (count == 0) {
      return logit;
    }
    float penalty = parameters.repetitionPenalty();
    float score = logit > 0 ? Math.min(logit / penalty, Float.MAX_VALUE) : logit * penalty;
    return score
        - Math.fma((float) count, parameters.frequencyPenalty(), parameters.presencePenalty());
  }

  private void keepTopK() {
    if (parameters.topK() <= 0 || parameters.topK() >= scores.length) {
      return;
    }
    float[] ascending = scores.clone();
    Arrays.sort(ascending);
    float least = ascending[scores.length - parameters.topK()];
    for (int id = 0; id < scores.length; id++) {
      kept[id] = scores[id] >= least;
    }
  }

  private void keepTopP() {
    if (parameters.dropMass() <= 0) {
      return;
    }
    long total = keptWeight();
    long dropped = 0;
    for (int id : keptByScore()) {
      dropped += weight(id);
      if ((float) ((double) dropped / (double) total) > parameters.dropMass() || dropped == total) {
        return;
      }
      kept[id] = false;
    }
  }

  /** The ids of kept tokens, ascending by score, of equal ones by id. */
  private int[] keptByScore() {
    long[] keys = new long[scores.length];
    int count = 0;
    for (int id = 0; id < scores.length; id++) {
      if (kept[id]) {
        int bits = Float.floatToRawIntBits(scores[id] + 0f); // -0 equals 0
        // Negative floats descend with their bits.
        int key = bits ^ bits >> 31 & Integer.MAX_VALUE;
        keys[count++] = (long) key << Integer.SIZE | id;
      }
    }
    Arrays.sort(keys, 0, count);
    return Arrays.stream(keys, 0, count).mapToInt(key -> (int) key).toArray();
  }

  private long keptWeight() {
    long sum = 0;
    for (int id = 0; id < scores.length; id++) {
      sum += kept[id] ? weight(id) : 0;
    }
    return sum;
  }

  private int draw() {
    long random = Philox.next(parameters.seed(), parameters.generated());
    long target = Math.unsignedMultiplyHigh(random, keptWeight());
    long sum = 0;
    for (int id = 0; ; id++) {
      sum += kept[id] ? weight(id) : 0;
      if (sum > target) {
        return id;
      }
    }
  }

  private long weight(int id) {
    return fixedPointExp((scores[id] - largest) / parameters.temperature());
  }

  /**
   * {@code floor(2^44 e^x)} of {@code x <= 0}: {@code x = n ln 2 + r}, and the series of {@code
   * e^r} up to {@code r^7 / 7!}.
   */
  static long fixedPointExp(float x) {
    if (!(x > -31f)) {
      return 0; // 44 ln 2 is 30.5
    }
    float rounder = 0x1.8p23f; // floats of this size have no bits after the point
    float n = Math.fma(x, 1.44269504f, rounder) - rounder;
    float r = Math.fma(n, 1.90465421e-9f, Math.fma(n, -0.693147182f, x));
    float e = 1.98412701e-4f;
    e = Math.fma(e, r, 1.38888892e-3f);
    e = Math.fma(e, r, 8.33333377e-3f);
    e = Math.fma(e, r, 4.16666679e-2f);
    e = Math.fma(e, r, 1.66666672e-1f);
    e = Math.fma(e, r, 0.5f);
    e = Math.fma(e, r, 1f);
    e = Math.fma(e, r, 1f);
    return (long) (e * Math.scalb(1f, WEIGHT_BITS + (int) n));
  }
}
