package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import org.tessera.tensor.Tensor;

/** Transposes in host memory, whatever the elements mean. */
final class Transpose {
  /** Elements on the side of a block: its rows in both matrices fit the first-level cache. */
  private static final int BLOCK = 64;

  private Transpose() {}

  /** Writes the transpose of {@code from} to {@code to}. */
  static void copy(Tensor from, Tensor to) {
    if (from.rows() != to.columns() || from.columns() != to.rows() || from.dtype() != to.dtype()) {
      throw new IllegalArgumentException(
          "%d x %d %s cannot become %d x %d %s"
              .formatted(
                  from.rows(), from.columns(), from.dtype(), to.rows(), to.columns(), to.dtype()));
    }
    for (int row = 0; row < from.rows(); row += BLOCK) {
      int rowEnd = Math.min(row + BLOCK, from.rows());
      for (int column = 0; column < from.columns(); column += BLOCK) {
        int columnEnd = Math.min(column + BLOCK, from.columns());
        if (from.dtype().bytes() == Short.BYTES) {
          copyShorts(from, to, row, rowEnd, column, columnEnd);
        } else {
          copyInts(from, to, row, rowEnd, column, columnEnd);
        }
      }
    }
  }

  private static void copyShorts(
      Tensor from, Tensor to, int row, int rowEnd, int column, int columnEnd) {
    MemorySegment source = from.memory();
    MemorySegment target = to.memory();
    for (int c = column; c < columnEnd; c++) {
      for (int r = row; r < rowEnd; r++) {
        short element = source.getAtIndex(JAVA_SHORT_UNALIGNED, r * from.rowStride() + c);
        target.setAtIndex(JAVA_SHORT_UNALIGNED, c * to.rowStride() + r, element);
      }
    }
  }

  private static void copyInts(
      Tensor from, Tensor to, int row, int rowEnd, int column, int columnEnd) {
    MemorySegment source = from.memory();
    MemorySegment target = to.memory();
    for (int c = column; c < columnEnd; c++) {
      for (int r = row; r < rowEnd; r++) {
        int element = source.getAtIndex(JAVA_INT_UNALIGNED, r * from.rowStride() + c);
        target.setAtIndex(JAVA_INT_UNALIGNED, c * to.rowStride() + r, element);
      }
    }
  }
}
