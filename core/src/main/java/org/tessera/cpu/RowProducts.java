package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.INTS;
import static org.tessera.cpu.Lanes.LANES;
import static org.tessera.cpu.Lanes.ORDER;
import static org.tessera.cpu.Lanes.SHORTS;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Widening of weights, and products of a few rows of weights with a few rows of activations. */
final class RowProducts {
  private static final int ROWS = Kernels.DOT_ROWS;
  private static final int BLOCK = Kernels.DOT_BLOCK;
  private static final int TOKENS = 4;

  private RowProducts() {}

  static void widen(
      Tensor w, int row, int rows, int column, int columns, float[] out, int outAt, int outStride) {
    for (int r = 0; r < rows; r++) {
      widenRow(w, row + r, column, columns, out, outAt + r * outStride);
    }
  }

  private static void widenRow(Tensor w, int row, int column, int count, float[] out, int outAt) {
    MemorySegment memory = w.memory();
    long at = Elements.offset(w, row, column);
    int vectorized = FLOATS.loopBound(count);
    switch (w.dtype()) {
      case BF16 -> {
        for (int i = 0; i < vectorized; i += LANES) {
          bf16(memory, at + 2L * i).intoArray(out, outAt + i);
        }
      }
      case F16 -> {
        for (int i = 0; i < vectorized; i += LANES) {
          f16(memory, at + 2L * i).intoArray(out, outAt + i);
        }
      }
      case F32 -> {
        for (int i = 0; i < vectorized; i += LANES) {
          Lanes.load(memory, at + 4L * i).intoArray(out, outAt + i);
        }
      }
      case I32 -> throw new IllegalArgumentException("weights of I32");
    }
    for (int i = vectorized; i < count; i++) {
      out[outAt + i] = Elements.get(w, row, column + i);
    }
  }

  private static IntVector shorts(MemorySegment memory, long at) {
    return (IntVector)
        ShortVector.fromMemorySegment(SHORTS, memory, at, ORDER)
            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
  }

  private static FloatVector bf16(MemorySegment memory, long at) {
    return shorts(memory, at).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  /**
   * The exponent is moved into place and corrected by a multiplication, which is exact for
   * subnormal numbers too; infinities and NaN get the exponent that the correction missed.
   */
  private static FloatVector f16(MemorySegment memory, long at) {
    IntVector bits = shorts(memory, at);
    IntVector magnitude = bits.and(0x7fff);
    IntVector value =
        magnitude
            .lanewise(VectorOperators.LSHL, 13)
            .reinterpretAsFloats()
            .mul(0x1p112f)
            .reinterpretAsInts();
    value =
        value.lanewise(
            VectorOperators.OR, 0x7f800000, magnitude.compare(VectorOperators.GE, 0x7c00));
    IntVector sign = bits.lanewise(VectorOperators.LSHR, 15).lanewise(VectorOperators.LSHL, 31);
    return value.or(sign).reinterpretAsFloats();
  }

  static void dots(
      Tensor w,
      int row,
      int rows,
      float[] x,
      int tokens,
      float[] out,
      int outAt,
      int outStride,
      float[] spare) {
    int columns = w.columns();
    if (tokens == 1 && rows == ROWS && w.dtype() == DType.BF16) {
      dotBf16(w, row, x, out, outAt);
      return;
    }
    for (int t = 0; t < tokens; t++) {
      for (int r = 0; r < rows; r++) {
        out[outAt + t * outStride + r] = 0;
      }
    }
    for (int from = 0; from < columns; from += BLOCK) {
      int count = Math.min(BLOCK, columns - from);
      widen(w, row, rows, from, count, spare, 0, BLOCK);
      int t = 0;
      if (rows == ROWS) {
        for (; t + TOKENS <= tokens; t += TOKENS) {
          for (int r = 0; r < ROWS; r += 2) {
            dotTwoByFour(
                spare,
                r * BLOCK,
                x,
                t * columns + from,
                columns,
                count,
                out,
                outAt + t * outStride + r,
                outStride);
          }
        }
      }
      for (; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
          out[outAt + t * outStride + r] += dot(spare, r * BLOCK, x, t * columns + from, count);
        }
      }
    }
  }

  /** Four rows of BF16 with one of activations, straight from memory: what decoding consists of. */
  private static void dotBf16(Tensor w, int row, float[] x, float[] out, int outAt) {
    MemorySegment memory = w.memory();
    int columns = w.columns();
    long at0 = Elements.offset(w, row, 0);
    long at1 = Elements.offset(w, row + 1, 0);
    long at2 = Elements.offset(w, row + 2, 0);
    long at3 = Elements.offset(w, row + 3, 0);
    FloatVector sum0 = FloatVector.zero(FLOATS);
    FloatVector sum1 = FloatVector.zero(FLOATS);
    FloatVector sum2 = FloatVector.zero(FLOATS);
    FloatVector sum3 = FloatVector.zero(FLOATS);
    int vectorized = FLOATS.loopBound(columns);
    for (int c = 0; c < vectorized; c += LANES) {
      FloatVector activation = FloatVector.fromArray(FLOATS, x, c);
      sum0 = bf16(memory, at0 + 2L * c).fma(activation, sum0);
      sum1 = bf16(memory, at1 + 2L * c).fma(activation, sum1);
      sum2 = bf16(memory, at2 + 2L * c).fma(activation, sum2);
      sum3 = bf16(memory, at3 + 2L * c).fma(activation, sum3);
    }
    float tail0 = sum0.reduceLanes(VectorOperators.ADD);
    float tail1 = sum1.reduceLanes(VectorOperators.ADD);
    float tail2 = sum2.reduceLanes(VectorOperators.ADD);
    float tail3 = sum3.reduceLanes(VectorOperators.ADD);
    for (int c = vectorized; c < columns; c++) {
      tail0 += Elements.get(w, row, c) * x[c];
      tail1 += Elements.get(w, row + 1, c) * x[c];
      tail2 += Elements.get(w, row + 2, c) * x[c];
      tail3 += Elements.get(w, row + 3, c) * x[c];
    }
    out[outAt] = tail0;
    out[outAt + 1] = tail1;
    out[outAt + 2] = tail2;
    out[outAt + 3] = tail3;
  }

  /** Two widened rows with four of activations, each loaded vector used several times. */
  private static void dotTwoByFour(
      float[] w,
      int wAt,
      float[] x,
      int xAt,
      int xStride,
      int count,
      float[] out,
      int outAt,
      int outStride) {
    FloatVector s00 = FloatVector.zero(FLOATS);
    FloatVector s01 = FloatVector.zero(FLOATS);
    FloatVector s02 = FloatVector.zero(FLOATS);
    FloatVector s03 = FloatVector.zero(FLOATS);
    FloatVector s10 = FloatVector.zero(FLOATS);
    FloatVector s11 = FloatVector.zero(FLOATS);
    FloatVector s12 = FloatVector.zero(FLOATS);
    FloatVector s13 = FloatVector.zero(FLOATS);
    int vectorized = FLOATS.loopBound(count);
    for (int c = 0; c < vectorized; c += LANES) {
      FloatVector w0 = FloatVector.fromArray(FLOATS, w, wAt + c);
      FloatVector w1 = FloatVector.fromArray(FLOATS, w, wAt + BLOCK + c);
      FloatVector x0 = FloatVector.fromArray(FLOATS, x, xAt + c);
      FloatVector x1 = FloatVector.fromArray(FLOATS, x, xAt + xStride + c);
      FloatVector x2 = FloatVector.fromArray(FLOATS, x, xAt + 2 * xStride + c);
      FloatVector x3 = FloatVector.fromArray(FLOATS, x, xAt + 3 * xStride + c);
      s00 = w0.fma(x0, s00);
      s01 = w0.fma(x1, s01);
      s02 = w0.fma(x2, s02);
      s03 = w0.fma(x3, s03);
      s10 = w1.fma(x0, s10);
      s11 = w1.fma(x1, s11);
      s12 = w1.fma(x2, s12);
      s13 = w1.fma(x3, s13);
    }
    out[outAt] += s00.reduceLanes(VectorOperators.ADD);
    out[outAt + outStride] += s01.reduceLanes(VectorOperators.ADD);
    out[outAt + 2 * outStride] += s02.reduceLanes(VectorOperators.ADD);
    out[outAt + 3 * outStride] += s03.reduceLanes(VectorOperators.ADD);
    out[outAt + 1] += s10.reduceLanes(VectorOperators.ADD);
    out[outAt + outStride + 1] += s11.reduceLanes(VectorOperators.ADD);
    out[outAt + 2 * outStride + 1] += s12.reduceLanes(VectorOperators.ADD);
    out[outAt + 3 * outStride + 1] += s13.reduceLanes(VectorOperators.ADD);
    for (int t = 0; t < TOKENS; t++) {
      for (int c = vectorized; c < count; c++) {
        out[outAt + t * outStride] += w[wAt + c] * x[xAt + t * xStride + c];
        out[outAt + t * outStride + 1] += w[wAt + BLOCK + c] * x[xAt + t * xStride + c];
      }
    }
  }

  private static float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    FloatVector sum = FloatVector.zero(FLOATS);
    FloatVector other = FloatVector.zero(FLOATS);
    int i = 0;
    for (; i <= count - 2 * LANES; i += 2 * LANES) {
      sum =
          FloatVector.fromArray(FLOATS, a, aAt + i)
              .fma(FloatVector.fromArray(FLOATS, b, bAt + i), sum);
      other =
          FloatVector.fromArray(FLOATS, a, aAt + i + LANES)
              .fma(FloatVector.fromArray(FLOATS, b, bAt + i + LANES), other);
    }
    float total = sum.add(other).reduceLanes(VectorOperators.ADD);
    for (; i < count; i++) {
      total += a[aAt + i] * b[bAt + i];
    }
    return total;
  }
}
