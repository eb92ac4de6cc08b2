package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

class TransposeTest {
  private static final Arena ARENA = Arena.ofAuto();

  @ParameterizedTest
  @CsvSource({"1, 1", "1, 13", "13, 1", "64, 64", "65, 63", "207, 130", "0, 5"})
  void everyElementChangesPlaces(int rows, int columns) {
    for (DType dtype : new DType[] {DType.BF16, DType.F32}) {
      Tensor from = odd(dtype, rows, columns, columns + 3);
      Tensor to = odd(dtype, columns, rows, rows);
      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
          set(from, row, column, row * columns + column);
        }
      }

      Transpose.copy(from, to);

      for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
          assertThat(get(to, column, row)).isEqualTo(row * columns + column);
        }
      }
    }
  }

  @Test
  void shapesThatDoNotFitAreABug() {
    Tensor from = odd(DType.BF16, 2, 3, 3);

    assertThatThrownBy(() -> Transpose.copy(from, odd(DType.BF16, 2, 3, 3)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Transpose.copy(from, odd(DType.F32, 3, 2, 2)))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** A tensor at an odd address. */
  private static Tensor odd(DType dtype, int rows, int columns, int stride) {
    MemorySegment memory = ARENA.allocate((long) rows * stride * dtype.bytes() + 1).asSlice(1);
    return new Tensor(dtype, rows, columns, stride, memory);
  }

  private static void set(Tensor tensor, int row, int column, int value) {
    long index = row * tensor.rowStride() + column;
    if (tensor.dtype() == DType.F32) {
      tensor.memory().setAtIndex(JAVA_INT_UNALIGNED, index, value);
    } else {
      tensor.memory().setAtIndex(JAVA_SHORT_UNALIGNED, index, (short) value);
    }
  }

  private static int get(Tensor tensor, int row, int column) {
    long index = row * tensor.rowStride() + column;
    return tensor.dtype() == DType.F32
        ? tensor.memory().getAtIndex(JAVA_INT_UNALIGNED, index)
        : tensor.memory().getAtIndex(JAVA_SHORT_UNALIGNED, index);
  }
}
