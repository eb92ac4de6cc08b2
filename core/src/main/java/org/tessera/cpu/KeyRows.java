package org.tessera.cpu;

import org.tessera.tensor.Tensor;

/**
 * Where the keys and values of one sequence lie: the i-th in row {@code blocks[i / blockRows] *
 * blockRows + i % blockRows} of the two tensors. Packed rows are a single block.
 *
 * @param firstRow what is added to every row
 * @param count keys of the sequence
 */
record KeyRows(
    Tensor keys,
    Tensor values,
    int firstRow,
    int[] blocks,
    int firstBlock,
    int blockRows,
    int count) {
  private static final int[] ONE_BLOCK = {0};

  /** Rows {@code first} to {@code first + count}. */
  static KeyRows packed(Tensor keys, Tensor values, int first, int count) {
    return new KeyRows(keys, values, first, ONE_BLOCK, 0, Integer.MAX_VALUE, count);
  }

  /** Copies columns of keys {@code from} to {@code from + rows}, row after row. */
  void copyKeys(Kernels kernels, int from, int rows, int column, int width, float[] out) {
    copy(kernels, keys, from, rows, column, width, out);
  }

  /** Copies columns of values {@code from} to {@code from + rows}, row after row. */
  void copyValues(Kernels kernels, int from, int rows, int column, int width, float[] out) {
    copy(kernels, values, from, rows, column, width, out);
  }

  private void copy(
      Kernels kernels, Tensor source, int from, int rows, int column, int width, float[] out) {
    int copied = 0;
    while (copied < rows) {
      int index = from + copied;
      int inBlock = index % blockRows;
      int run = Math.min(rows - copied, blockRows - inBlock);
      int row = firstRow + blocks[firstBlock + index / blockRows] * blockRows + inBlock;
      kernels.widen(source, row, run, column, width, out, copied * width, width);
      copied += run;
    }
  }
}
