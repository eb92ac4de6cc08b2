package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.INTS;
import static org.tessera.cpu.Lanes.LANES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;

/** The softmax of attention: a lane is a query, a row a key. */
final class VectorSoftmax {
  private VectorSoftmax() {}

  static void block(
      float[] scores,
      int keys,
      int vectors,
      int @Nullable [] limits,
      float[] max,
      float[] sum,
      float[] weighted,
      int weightedRows) {
    int stride = vectors * LANES;
    for (int lane = 0; lane < stride; lane += LANES) {
      if (limits != null) {
        mask(scores, lane, stride, keys, limits);
      }
      FloatVector before = FloatVector.fromArray(FLOATS, max, lane);
      FloatVector now = maximum(scores, lane, stride, keys, before);
      now.intoArray(max, lane);
      FloatVector correction = Lanes.expOfNegative(before.sub(now));
      FloatVector total = FloatVector.fromArray(FLOATS, sum, lane).mul(correction);
      total = total.add(weigh(scores, lane, stride, keys, now));
      total.intoArray(sum, lane);
      if (before.lt(now).anyTrue()) {
        scale(weighted, lane, stride, weightedRows, correction);
      }
    }
  }

  private static void mask(float[] scores, int lane, int stride, int keys, int[] limits) {
    IntVector limit = IntVector.fromArray(INTS, limits, lane);
    for (int key = 0, at = lane; key < keys; key++, at += stride) {
      VectorMask<Float> unseen = limit.compare(VectorOperators.LE, key).cast(FLOATS);
      FloatVector.fromArray(FLOATS, scores, at)
          .blend(Float.NEGATIVE_INFINITY, unseen)
          .intoArray(scores, at);
    }
  }

  /**
   * Comparing is faster than a maximum that honours NaN, and loses none: the weight of a NaN is
   * one.
   */
  private static FloatVector maximum(
      float[] scores, int lane, int stride, int keys, FloatVector before) {
    FloatVector even = before;
    FloatVector odd = before;
    int key = 0;
    for (; key <= keys - 2; key += 2) {
      FloatVector first = FloatVector.fromArray(FLOATS, scores, lane + key * stride);
      FloatVector second = FloatVector.fromArray(FLOATS, scores, lane + (key + 1) * stride);
      even = even.blend(first, first.compare(VectorOperators.GT, even));
      odd = odd.blend(second, second.compare(VectorOperators.GT, odd));
    }
    if (key < keys) {
      FloatVector first = FloatVector.fromArray(FLOATS, scores, lane + key * stride);
      even = even.blend(first, first.compare(VectorOperators.GT, even));
    }
    return even.blend(odd, odd.compare(VectorOperators.GT, even));
  }

  /** Replaces scores by weights and returns their sum. */
  private static FloatVector weigh(
      float[] scores, int lane, int stride, int keys, FloatVector max) {
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int key = 0; key < keys; key++) {
      int at = lane + key * stride;
      FloatVector weight = Lanes.expOfNegative(FloatVector.fromArray(FLOATS, scores, at).sub(max));
      weight.intoArray(scores, at);
      sum = sum.add(weight);
    }
    return sum;
  }

  private static void scale(float[] rows, int lane, int stride, int count, FloatVector factor) {
    for (int row = 0, at = lane; row < count; row++, at += stride) {
      FloatVector.fromArray(FLOATS, rows, at).mul(factor).intoArray(rows, at);
    }
  }
}
