package org.tessera.cpu;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.Tensor;

/** The inner loops with the Vector API. Loaded only where the incubator module is there. */
final class VectorKernels implements Kernels {
  /** Two vectors a row need 27 registers, which processors with 256-bit vectors do not have. */
  private static final int MAX_VECTORS = Lanes.FLOATS.vectorBitSize() == 256 ? 1 : 2;

  @Override
  public int lanes() {
    return Lanes.LANES;
  }

  @Override
  public int maxVectors() {
    return MAX_VECTORS;
  }

  @Override
  public void widen(
      Tensor w, int row, int rows, int column, int columns, float[] out, int outAt, int outStride) {
    RowProducts.widen(w, row, rows, column, columns, out, outAt, outStride);
  }

  @Override
  public void dots(
      Tensor w,
      int row,
      int rows,
      float[] x,
      int tokens,
      float[] out,
      int outAt,
      int outStride,
      float[] spare) {
    RowProducts.dots(w, row, rows, x, tokens, out, outAt, outStride, spare);
  }

  @Override
  public void transpose(
      float[] in,
      int inAt,
      int inStride,
      int rows,
      int columns,
      float[] out,
      int outAt,
      int outStride) {
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        out[outAt + c * outStride + r] = in[inAt + r * inStride + c];
      }
    }
  }

  @Override
  public void multiplyRows(
      float[] a,
      int aAt,
      int aStride,
      float[] b,
      int bAt,
      int depth,
      int vectors,
      float[] c,
      int cAt) {
    if (vectors == 1) {
      RowTiles.one(a, aAt, aStride, b, bAt, depth, c, cAt);
    } else {
      RowTiles.two(a, aAt, aStride, b, bAt, depth, c, cAt);
    }
  }

  @Override
  public void multiplyColumns(
      float[] a,
      int aAt,
      int aStride,
      float[] b,
      int bAt,
      int depth,
      int vectors,
      float[] c,
      int cAt) {
    if (vectors == 1) {
      ColumnTiles.one(a, aAt, aStride, b, bAt, depth, c, cAt);
    } else {
      ColumnTiles.two(a, aAt, aStride, b, bAt, depth, c, cAt);
    }
  }

  @Override
  public void softmaxBlock(
      float[] scores,
      int keys,
      int vectors,
      int @Nullable [] limits,
      float[] max,
      float[] sum,
      float[] weighted,
      int weightedRows) {
    VectorSoftmax.block(scores, keys, vectors, limits, max, sum, weighted, weightedRows);
  }

  @Override
  public void finish(
      float[] sums,
      int sumsAt,
      int count,
      @Nullable MemorySegment bias,
      long biasAt,
      LinearEnd end,
      MemorySegment out,
      long outAt) {
    VectorRows.finish(sums, sumsAt, count, bias, biasAt, end, out, outAt);
  }

  @Override
  public void rmsNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      float eps,
      int count,
      MemorySegment out,
      long outAt) {
    VectorRows.rmsNorm(x, xAt, weight, eps, count, out, outAt);
  }

  @Override
  public void layerNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      MemorySegment bias,
      float eps,
      int count,
      MemorySegment out,
      long outAt) {
    VectorRows.layerNorm(x, xAt, weight, bias, eps, count, out, outAt);
  }

  @Override
  public void rotate(
      MemorySegment inOut, long at, float[] cosines, float[] sines, int anglesAt, int half) {
    VectorRows.rotate(inOut, at, cosines, sines, anglesAt, half);
  }

  @Override
  public void siluMul(
      MemorySegment gate, long gateAt, long upAt, int count, MemorySegment out, long outAt) {
    VectorRows.siluMul(gate, gateAt, upAt, count, out, outAt);
  }

  @Override
  public void add(MemorySegment x, long xAt, int count, MemorySegment inOut, long inOutAt) {
    VectorRows.add(x, xAt, count, inOut, inOutAt);
  }
}
