package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.LANES;
import static org.tessera.cpu.Widening.bf16;
import static org.tessera.cpu.Widening.readOnce;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.tessera.tensor.Tensor;

/** Products of four rows of BF16, straight from memory, with a few rows of activations. */
final class Bf16Products {
  private static final int ROWS = Kernels.DOT_ROWS;
  private static final int TOKENS = 4;

  private Bf16Products() {}

  static void dots(
      Tensor w,
      int row,
      float[] x,
      int xStride,
      int tokens,
      float[] out,
      int outAt,
      int outStride) {
    if (tokens == 1) {
      oneToken(w, row, x, out, outAt);
      return;
    }
    float[] sums = new float[ROWS * TOKENS];
    int columns = w.columns();
    int vectorized = FLOATS.loopBound(columns);
    int last = tokens - 1;
    for (int t = 0; t < tokens; t += TOKENS) {
      // Where there are fewer tokens the last is computed again instead.
      fourTokens(
          w,
          row,
          x,
          t * xStride,
          Math.min(t + 1, last) * xStride,
          Math.min(t + 2, last) * xStride,
          Math.min(t + 3, last) * xStride,
          vectorized,
          sums);
      for (int i = 0; i < Math.min(TOKENS, tokens - t); i++) {
        for (int r = 0; r < ROWS; r++) {
          float sum = sums[r * TOKENS + i];
          for (int c = vectorized; c < columns; c++) {
            sum += Elements.get(w, row + r, c) * x[(t + i) * xStride + c];
          }
          out[outAt + (t + i) * outStride + r] = sum;
        }
      }
    }
  }

  /**
   * Four rows with one of activations: what decoding consists of. The rows are read one after the
   * other, so that memory sees a single stream without end; several sums hide the latency of the
   * additions.
   */
  private static void oneToken(Tensor w, int row, float[] x, float[] out, int outAt) {
    for (int r = 0; r < ROWS; r++) {
      out[outAt + r] = oneRow(w, row + r, x);
    }
  }

  private static float oneRow(Tensor w, int row, float[] x) {
    MemorySegment memory = w.memory();
    int columns = w.columns();
    long at = Elements.offset(w, row, 0);
    FloatVector sum0 = FloatVector.zero(FLOATS);
    FloatVector sum1 = FloatVector.zero(FLOATS);
    FloatVector sum2 = FloatVector.zero(FLOATS);
    FloatVector sum3 = FloatVector.zero(FLOATS);
    int c = 0;
    for (; c <= columns - 4 * LANES; c += 4 * LANES) {
      sum0 = bf16(memory, at + 2L * c).fma(FloatVector.fromArray(FLOATS, x, c), sum0);
      sum1 =
          bf16(memory, at + 2L * (c + LANES))
              .fma(FloatVector.fromArray(FLOATS, x, c + LANES), sum1);
      sum2 =
          bf16(memory, at + 2L * (c + 2 * LANES))
              .fma(FloatVector.fromArray(FLOATS, x, c + 2 * LANES), sum2);
      sum3 =
          bf16(memory, at + 2L * (c + 3 * LANES))
              .fma(FloatVector.fromArray(FLOATS, x, c + 3 * LANES), sum3);
    }
    for (; c <= columns - LANES; c += LANES) {
      sum0 = bf16(memory, at + 2L * c).fma(FloatVector.fromArray(FLOATS, x, c), sum0);
    }
    readOnce(memory, at);
    float sum = sum0.add(sum1).add(sum2.add(sum3)).reduceLanes(VectorOperators.ADD);
    for (; c < columns; c++) {
      sum += Elements.get(w, row, c) * x[c];
    }
    return sum;
  }

  /**
   * Each loaded vector is used four times.
   *
   * @param sums [row][token]
   */
  private static void fourTokens(
      Tensor w,
      int row,
      float[] x,
      int xAt0,
      int xAt1,
      int xAt2,
      int xAt3,
      int vectorized,
      float[] sums) {
    MemorySegment memory = w.memory();
    long at0 = Elements.offset(w, row, 0);
    long at1 = Elements.offset(w, row + 1, 0);
    long at2 = Elements.offset(w, row + 2, 0);
    long at3 = Elements.offset(w, row + 3, 0);
    FloatVector s00 = FloatVector.zero(FLOATS);
    FloatVector s01 = FloatVector.zero(FLOATS);
    FloatVector s02 = FloatVector.zero(FLOATS);
    FloatVector s03 = FloatVector.zero(FLOATS);
    FloatVector s10 = FloatVector.zero(FLOATS);
    FloatVector s11 = FloatVector.zero(FLOATS);
    FloatVector s12 = FloatVector.zero(FLOATS);
    FloatVector s13 = FloatVector.zero(FLOATS);
    FloatVector s20 = FloatVector.zero(FLOATS);
    FloatVector s21 = FloatVector.zero(FLOATS);
    FloatVector s22 = FloatVector.zero(FLOATS);
    FloatVector s23 = FloatVector.zero(FLOATS);
    FloatVector s30 = FloatVector.zero(FLOATS);
    FloatVector s31 = FloatVector.zero(FLOATS);
    FloatVector s32 = FloatVector.zero(FLOATS);
    FloatVector s33 = FloatVector.zero(FLOATS);
    for (int c = 0; c < vectorized; c += LANES) {
      FloatVector x0 = FloatVector.fromArray(FLOATS, x, xAt0 + c);
      FloatVector x1 = FloatVector.fromArray(FLOATS, x, xAt1 + c);
      FloatVector x2 = FloatVector.fromArray(FLOATS, x, xAt2 + c);
      FloatVector x3 = FloatVector.fromArray(FLOATS, x, xAt3 + c);
      FloatVector w0 = bf16(memory, at0 + 2L * c);
      s00 = w0.fma(x0, s00);
      s01 = w0.fma(x1, s01);
      s02 = w0.fma(x2, s02);
      s03 = w0.fma(x3, s03);
      FloatVector w1 = bf16(memory, at1 + 2L * c);
      s10 = w1.fma(x0, s10);
      s11 = w1.fma(x1, s11);
      s12 = w1.fma(x2, s12);
      s13 = w1.fma(x3, s13);
      FloatVector w2 = bf16(memory, at2 + 2L * c);
      s20 = w2.fma(x0, s20);
      s21 = w2.fma(x1, s21);
      s22 = w2.fma(x2, s22);
      s23 = w2.fma(x3, s23);
      FloatVector w3 = bf16(memory, at3 + 2L * c);
      s30 = w3.fma(x0, s30);
      s31 = w3.fma(x1, s31);
      s32 = w3.fma(x2, s32);
      s33 = w3.fma(x3, s33);
    }
    readOnce(memory, at0);
    sums[0] = s00.reduceLanes(VectorOperators.ADD);
    sums[1] = s01.reduceLanes(VectorOperators.ADD);
    sums[2] = s02.reduceLanes(VectorOperators.ADD);
    sums[3] = s03.reduceLanes(VectorOperators.ADD);
    sums[4] = s10.reduceLanes(VectorOperators.ADD);
    sums[5] = s11.reduceLanes(VectorOperators.ADD);
    sums[6] = s12.reduceLanes(VectorOperators.ADD);
    sums[7] = s13.reduceLanes(VectorOperators.ADD);
    sums[8] = s20.reduceLanes(VectorOperators.ADD);
    sums[9] = s21.reduceLanes(VectorOperators.ADD);
    sums[10] = s22.reduceLanes(VectorOperators.ADD);
    sums[11] = s23.reduceLanes(VectorOperators.ADD);
    sums[12] = s30.reduceLanes(VectorOperators.ADD);
    sums[13] = s31.reduceLanes(VectorOperators.ADD);
    sums[14] = s32.reduceLanes(VectorOperators.ADD);
    sums[15] = s33.reduceLanes(VectorOperators.ADD);
  }
}
