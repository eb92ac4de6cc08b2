package org.tessera.cpu;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.Tensor;

/**
 * The inner loops of the CPU: single-threaded arithmetic over short runs of floats. What is cut how
 * and runs on which thread is decided above.
 *
 * <p>Products are computed in tiles. A tile is {@link #TILE_ROWS} rows of <i>lanes</i>: one or
 * {@link #maxVectors} vectors of {@link #lanes} floats each. Lanes are tokens (or queries), rows
 * are outputs (or keys), so that no sum ever crosses lanes.
 *
 * <p>Offsets into segments are in bytes, offsets into arrays in elements.
 */
interface Kernels {
  /** Rows of a tile: as many as leave registers for operands next to two vectors a row. */
  int TILE_ROWS = 12;

  /** Rows of weights that {@link #dots} takes together. */
  int DOT_ROWS = 4;

  /** Columns of weights that {@link #dots} may widen at a time. */
  int DOT_BLOCK = 4096;

  int DOT_SPARE = DOT_ROWS * DOT_BLOCK;

  /** Floats of one vector. */
  int lanes();

  /** Vectors of the widest tile. */
  int maxVectors();

  /**
   * {@code out[outAt + r * outStride + c] = w[row + r][column + c]} as floats, for {@code rows}
   * rows of {@code columns}.
   */
  void widen(
      Tensor w, int row, int rows, int column, int columns, float[] out, int outAt, int outStride);

  /**
   * Scalar products of a few rows of weights, {@link #DOT_ROWS} at most, with a few rows of
   * activations: {@code out[outAt + t * outStride + r] = sum over c of w[row + r][c] * x[t *
   * w.columns + c]}.
   *
   * @param spare {@link #DOT_SPARE} floats to use as one likes
   */
  void dots(
      Tensor w,
      int row,
      int rows,
      float[] x,
      int tokens,
      float[] out,
      int outAt,
      int outStride,
      float[] spare);

  /** {@code out[outAt + c * outStride + r] = in[inAt + r * inStride + c]}. */
  void transpose(
      float[] in,
      int inAt,
      int inStride,
      int rows,
      int columns,
      float[] out,
      int outAt,
      int outStride);

  /**
   * Adds to a tile whose left operand lies in rows: {@code c[r][lane] += sum over k < depth of
   * a[aAt + r * aStride + k] * b[bAt][k][lane]}.
   */
  void multiplyRows(
      float[] a,
      int aAt,
      int aStride,
      float[] b,
      int bAt,
      int depth,
      int vectors,
      float[] c,
      int cAt);

  /**
   * Adds to a tile whose left operand lies in columns: {@code c[r][lane] += sum over k < depth of
   * a[aAt + k * aStride + r] * b[bAt][k][lane]}.
   */
  void multiplyColumns(
      float[] a,
      int aAt,
      int aStride,
      float[] b,
      int bAt,
      int depth,
      int vectors,
      float[] c,
      int cAt);

  /**
   * One step of a softmax that sees its row (here: lane) block by block. On entry {@code max},
   * {@code sum} and {@code weighted} describe the blocks before; {@code scores} [keys][lanes]
   * become {@code exp(score - max)} under the new maximum.
   *
   * @param limits the keys of this block that each lane sees, or null where each sees all
   * @param weighted [weightedRows][lanes], scaled to the new maximum
   */
  void softmaxBlock(
      float[] scores,
      int keys,
      int vectors,
      int @Nullable [] limits,
      float[] max,
      float[] sum,
      float[] weighted,
      int weightedRows);

  /**
   * Ends a linear layer for a run of one row: {@code out = activation(sums + bias)}, or {@code out
   * += sums + bias}.
   */
  void finish(
      float[] sums,
      int sumsAt,
      int count,
      @Nullable MemorySegment bias,
      long biasAt,
      LinearEnd end,
      MemorySegment out,
      long outAt);

  /** {@code out = x / sqrt(mean(x²) + eps) * weight}. */
  void rmsNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      float eps,
      int count,
      MemorySegment out,
      long outAt);

  /** {@code out = (x - mean) / sqrt(var + eps) * weight + bias}. */
  void layerNorm(
      MemorySegment x,
      long xAt,
      MemorySegment weight,
      MemorySegment bias,
      float eps,
      int count,
      MemorySegment out,
      long outAt);

  /** Turns the pairs (i, i + half) of one head by the angles whose cosines and sines are given. */
  void rotate(MemorySegment inOut, long at, float[] cosines, float[] sines, int anglesAt, int half);

  /** {@code out = silu(gate) * up}. */
  void siluMul(
      MemorySegment gate, long gateAt, long upAt, int count, MemorySegment out, long outAt);

  /** {@code inOut += x}. */
  void add(MemorySegment x, long xAt, int count, MemorySegment inOut, long inOutAt);
}
