package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import org.tessera.tensor.DType;

/** Conversion of elements in host memory, which may start at any byte. Offsets are in bytes. */
final class HostElements {
  private HostElements() {}

  /** Copies {@code count} elements, rounding to nearest, ties to even. */
  static void convert(
      MemorySegment from,
      long fromOffset,
      DType fromType,
      MemorySegment to,
      long toOffset,
      DType toType,
      long count) {
    if (fromType == toType) {
      MemorySegment.copy(from, fromOffset, to, toOffset, count * fromType.bytes());
      return;
    }
    for (long i = 0; i < count; i++) {
      float value = get(from, fromOffset + i * fromType.bytes(), fromType);
      set(to, toOffset + i * toType.bytes(), toType, value);
    }
  }

  /** Writes {@code count} floats as elements of {@code type}. */
  static void write(float[] from, int start, MemorySegment to, long offset, DType type, int count) {
    if (type == DType.F32) {
      MemorySegment.copy(from, start, to, JAVA_FLOAT_UNALIGNED, offset, count);
      return;
    }
    for (int i = 0; i < count; i++) {
      set(to, offset + (long) i * type.bytes(), type, from[start + i]);
    }
  }

  /** Reads {@code count} elements of {@code type} as floats. */
  static void read(MemorySegment from, long offset, DType type, float[] to, int start, int count) {
    if (type == DType.F32) {
      MemorySegment.copy(from, JAVA_FLOAT_UNALIGNED, offset, to, start, count);
      return;
    }
    for (int i = 0; i < count; i++) {
      to[start + i] = get(from, offset + (long) i * type.bytes(), type);
    }
  }

  private static float get(MemorySegment memory, long offset, DType type) {
    return switch (type) {
      case F32 -> memory.get(JAVA_FLOAT_UNALIGNED, offset);
      case BF16 -> Float.intBitsToFloat(memory.get(JAVA_SHORT_UNALIGNED, offset) << 16);
      case F16 -> Float.float16ToFloat(memory.get(JAVA_SHORT_UNALIGNED, offset));
      case I32 -> throw new IllegalArgumentException("a tensor of I32 where floats are expected");
    };
  }

  private static void set(MemorySegment memory, long offset, DType type, float value) {
    switch (type) {
      case F32 -> memory.set(JAVA_FLOAT_UNALIGNED, offset, value);
      case BF16 -> memory.set(JAVA_SHORT_UNALIGNED, offset, toBf16(value));
      case F16 -> memory.set(JAVA_SHORT_UNALIGNED, offset, Float.floatToFloat16(value));
      case I32 -> throw new IllegalArgumentException("a tensor of I32 where floats are expected");
    }
  }

  /** A NaN stays one. */
  private static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }
}
