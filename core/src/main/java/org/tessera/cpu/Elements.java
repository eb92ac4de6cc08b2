package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Single elements of tensors in host memory, which may start at any byte. */
final class Elements {
  private Elements() {}

  /** Byte offset of the element at {@code row}, {@code column}. */
  static long offset(Tensor tensor, long row, long column) {
    return (row * tensor.rowStride() + column) * tensor.dtype().bytes();
  }

  static float get(Tensor tensor, int row, int column) {
    long offset = offset(tensor, row, column);
    return switch (tensor.dtype()) {
      case F32 -> tensor.memory().get(JAVA_FLOAT_UNALIGNED, offset);
      case BF16 -> bf16ToFloat(tensor.memory().get(JAVA_SHORT_UNALIGNED, offset));
      case F16 -> Float.float16ToFloat(tensor.memory().get(JAVA_SHORT_UNALIGNED, offset));
      case I32 -> throw new IllegalArgumentException("a tensor of I32 where floats are expected");
    };
  }

  static void set(Tensor tensor, int row, int column, float value) {
    long offset = offset(tensor, row, column);
    switch (tensor.dtype()) {
      case F32 -> tensor.memory().set(JAVA_FLOAT_UNALIGNED, offset, value);
      case BF16 -> tensor.memory().set(JAVA_SHORT_UNALIGNED, offset, floatToBf16(value));
      case F16 -> tensor.memory().set(JAVA_SHORT_UNALIGNED, offset, Float.floatToFloat16(value));
      case I32 -> throw new IllegalArgumentException("a tensor of I32 where floats are expected");
    }
  }

  static void setInt(Tensor tensor, int row, int column, int value) {
    long at = (row * tensor.rowStride() + column) * DType.I32.bytes();
    tensor.memory().set(JAVA_INT_UNALIGNED, at, value);
  }

  static int getInt(Tensor tensor, int row, int column) {
    if (tensor.dtype() != DType.I32) {
      throw new IllegalArgumentException(
          "a tensor of %s where I32 is expected".formatted(tensor.dtype()));
    }
    return tensor.memory().get(JAVA_INT_UNALIGNED, offset(tensor, row, column));
  }

  static float bf16ToFloat(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** Rounds to nearest, ties to even; a NaN stays one. */
  static short floatToBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }
}
