package org.tessera.cuda;

import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** What the operations demand of their arguments before anything is launched. */
final class Operands {
  /** Elements of the 16 bytes that the fast kernels load at a time. */
  private static final int VECTOR = 8;

  private static final long VECTOR_BYTES = 16;

  private Operands() {}

  static void require(boolean holds, String format, Object... values) {
    if (!holds) {
      throw new IllegalArgumentException(format.formatted(values));
    }
  }

  static void shape(String name, Tensor tensor, DType type, int rows, int columns) {
    require(tensor.dtype() == type, "%s is %s, expected %s", name, tensor.dtype(), type);
    require(
        tensor.rows() == rows && tensor.columns() == columns,
        "%s is %d x %d, expected %d x %d",
        name,
        tensor.rows(),
        tensor.columns(),
        rows,
        columns);
  }

  static void ints(String name, Tensor tensor, int rows, int columns) {
    shape(name, tensor, DType.I32, rows, columns);
    require(tensor.isContiguous(), "%s has gaps between its rows", name);
  }

  /** The one piece in which this device keeps a matrix. */
  static Tensor piece(Matrix matrix) {
    require(matrix.parts().size() == 1, "a matrix in %d pieces", matrix.parts().size());
    return matrix.parts().getFirst();
  }

  /** Whether all rows begin at a multiple of 16 bytes and consist of whole vectors. */
  static boolean isAligned(Tensor tensor) {
    return tensor.columns() % VECTOR == 0 && hasAlignedRows(tensor);
  }

  /** Whether all rows begin at a multiple of 16 bytes. */
  static boolean hasAlignedRows(Tensor tensor) {
    return tensor.memory().address() % VECTOR_BYTES == 0
        && (tensor.rows() <= 1 || tensor.rowStride() * tensor.dtype().bytes() % VECTOR_BYTES == 0);
  }
}
