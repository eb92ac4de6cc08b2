package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.LANES;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Products of a few rows of weights with a few rows of activations. Rows of BF16, as checkpoints
 * have them, are widened in registers; the others first in a buffer.
 */
final class RowProducts {
  private static final int ROWS = Kernels.DOT_ROWS;
  private static final int BLOCK = Kernels.DOT_BLOCK;
  private static final int STRIDE = Kernels.DOT_STRIDE;
  private static final int TOKENS = 4;

  private RowProducts() {}

  static void dots(
      Tensor w,
      int row,
      int rows,
      float[] x,
      int xStride,
      int tokens,
      float[] out,
      int outAt,
      int outStride,
      float[] spare) {
    int columns = w.columns();
    if (rows == ROWS && w.dtype() == DType.BF16) {
      Bf16Products.dots(w, row, x, xStride, tokens, out, outAt, outStride);
      return;
    }
    for (int t = 0; t < tokens; t++) {
      Arrays.fill(out, outAt + t * outStride, outAt + t * outStride + rows, 0f);
    }
    float[] sums = new float[ROWS * TOKENS];
    for (int from = 0; from < columns; from += BLOCK) {
      int count = Math.min(BLOCK, columns - from);
      int padded = Kernels.padded(count, LANES);
      Widening.widen(w, row, rows, from, count, spare, 0, STRIDE);
      for (int r = 0; r < rows; r++) {
        Arrays.fill(spare, r * STRIDE + count, r * STRIDE + padded, 0f);
      }
      for (int t = 0; t < tokens; t += TOKENS) {
        // Where there are fewer rows or tokens the last is computed again instead.
        int lastRow = rows - 1;
        int last = tokens - 1;
        dotFourByFour(
            spare,
            0,
            Math.min(1, lastRow) * STRIDE,
            Math.min(2, lastRow) * STRIDE,
            Math.min(3, lastRow) * STRIDE,
            x,
            t * xStride + from,
            Math.min(t + 1, last) * xStride + from,
            Math.min(t + 2, last) * xStride + from,
            Math.min(t + 3, last) * xStride + from,
            padded,
            sums);
        for (int i = 0; i < Math.min(TOKENS, tokens - t); i++) {
          for (int r = 0; r < rows; r++) {
            out[outAt + (t + i) * outStride + r] += sums[r * TOKENS + i];
          }
        }
      }
    }
  }

  /**
   * Four widened rows with four of activations, so that each loaded vector is used four times.
   *
   * @param sums [row][token]
   */
  private static void dotFourByFour(
      float[] w,
      int wAt0,
      int wAt1,
      int wAt2,
      int wAt3,
      float[] x,
      int xAt0,
      int xAt1,
      int xAt2,
      int xAt3,
      int count,
      float[] sums) {
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
    for (int c = 0; c < count; c += LANES) {
      FloatVector x0 = FloatVector.fromArray(FLOATS, x, xAt0 + c);
      FloatVector x1 = FloatVector.fromArray(FLOATS, x, xAt1 + c);
      FloatVector x2 = FloatVector.fromArray(FLOATS, x, xAt2 + c);
      FloatVector x3 = FloatVector.fromArray(FLOATS, x, xAt3 + c);
      FloatVector w0 = FloatVector.fromArray(FLOATS, w, wAt0 + c);
      s00 = w0.fma(x0, s00);
      s01 = w0.fma(x1, s01);
      s02 = w0.fma(x2, s02);
      s03 = w0.fma(x3, s03);
      FloatVector w1 = FloatVector.fromArray(FLOATS, w, wAt1 + c);
      s10 = w1.fma(x0, s10);
      s11 = w1.fma(x1, s11);
      s12 = w1.fma(x2, s12);
      s13 = w1.fma(x3, s13);
      FloatVector w2 = FloatVector.fromArray(FLOATS, w, wAt2 + c);
      s20 = w2.fma(x0, s20);
      s21 = w2.fma(x1, s21);
      s22 = w2.fma(x2, s22);
      s23 = w2.fma(x3, s23);
      FloatVector w3 = FloatVector.fromArray(FLOATS, w, wAt3 + c);
      s30 = w3.fma(x0, s30);
      s31 = w3.fma(x1, s31);
      s32 = w3.fma(x2, s32);
      s33 = w3.fma(x3, s33);
    }
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
