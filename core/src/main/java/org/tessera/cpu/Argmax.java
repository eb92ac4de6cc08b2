package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** The largest element of a row of floats. */
final class Argmax {
  private Argmax() {}

  /** As {@link Ops#argmax} of one row. */
  static int of(Tensor logits, int row) {
    MemorySegment memory = logits.memory();
    long start = row * logits.rowStride() * DType.F32.bytes();
    int best = Ops.NO_TOKEN;
    float largest = Float.NEGATIVE_INFINITY;
    for (int column = 0; column < logits.columns(); column++) {
      float logit = memory.get(JAVA_FLOAT_UNALIGNED, start + (long) column * DType.F32.bytes());
      if (!(logit < Float.POSITIVE_INFINITY)) {
        return Ops.NOT_FINITE;
      }
      if (logit > largest) {
        largest = logit;
        best = column;
      }
    }
    return best;
  }
}
