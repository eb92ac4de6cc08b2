package org.tessera.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A handle on a row-major matrix in the memory of some device: {@code rows} rows of {@code columns}
 * elements, {@code rowStride} elements apart. A vector is one row. The memory belongs to whoever
 * allocated it; a view shares it.
 *
 * @param memory starts at element (0, 0). On a device other than the host it must not be read.
 */
public record Tensor(DType dtype, int rows, int columns, long rowStride, MemorySegment memory) {
  public Tensor {
    if (rows < 0 || columns < 0 || rowStride < columns) {
      throw new IllegalArgumentException(
          "%d x %d elements with a row stride of %d".formatted(rows, columns, rowStride));
    }
    long needed = rows == 0 ? 0 : ((rows - 1) * rowStride + columns) * dtype.bytes();
    if (memory.byteSize() < needed) {
      throw new IllegalArgumentException(
          "%d x %d %s elements need %d bytes, memory has %d"
              .formatted(rows, columns, dtype, needed, memory.byteSize()));
    }
  }

  /** A contiguous tensor over the whole of {@code memory}. */
  public static Tensor of(DType dtype, int rows, int columns, MemorySegment memory) {
    return new Tensor(dtype, rows, columns, columns, memory);
  }

  /** Whether rows follow each other without a gap. */
  public boolean isContiguous() {
    return rowStride == columns || rows <= 1;
  }

  /** Bytes of the elements themselves, gaps between rows left out. */
  public long byteSize() {
    return (long) rows * columns * dtype.bytes();
  }

  /** The view of rows {@code from} (inclusive) to {@code to} (exclusive). */
  public Tensor rows(int from, int to) {
    checkRange(from, to, rows);
    long offset = from == to ? 0 : from * rowStride * dtype.bytes();
    return new Tensor(dtype, to - from, columns, rowStride, memory.asSlice(offset));
  }

  /** The view of columns {@code from} (inclusive) to {@code to} (exclusive). */
  public Tensor columns(int from, int to) {
    checkRange(from, to, columns);
    return new Tensor(
        dtype, rows, to - from, rowStride, memory.asSlice((long) from * dtype.bytes()));
  }

  private static void checkRange(int from, int to, int limit) {
    if (from < 0 || from > to || to > limit) {
      throw new IndexOutOfBoundsException("%d to %d of %d".formatted(from, to, limit));
    }
  }
}
