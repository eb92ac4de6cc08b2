package org.tessera.tensor;

import java.util.List;

/**
 * A weight matrix {@code [rows, columns]} whose rows may lie in several pieces one below the other:
 * the query, key and value projections of a checkpoint are one matrix without being copied.
 * Backends that copy weights anyway keep it in one piece.
 */
public record Matrix(int rows, int columns, List<Tensor> parts) {
  public Matrix {
    parts = List.copyOf(parts);
    int partRows = 0;
    for (Tensor part : parts) {
      if (part.columns() != columns) {
        throw new IllegalArgumentException(
            "a part has %d columns instead of %d".formatted(part.columns(), columns));
      }
      partRows += part.rows();
    }
    if (partRows != rows) {
      throw new IllegalArgumentException("parts have %d rows, not %d".formatted(partRows, rows));
    }
  }

  /** The matrix made of {@code parts}, at least one, stacked in order. */
  public static Matrix stacked(List<Tensor> parts) {
    int rows = parts.stream().mapToInt(Tensor::rows).sum();
    return new Matrix(rows, parts.getFirst().columns(), parts);
  }

  /** Bytes of all elements. */
  public long byteSize() {
    return parts.stream().mapToLong(Tensor::byteSize).sum();
  }
}
