package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.INTS;
import static org.tessera.cpu.Lanes.LANES;
import static org.tessera.cpu.Lanes.ORDER;
import static org.tessera.cpu.Lanes.SHORTS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import org.tessera.tensor.Tensor;

/** Elements of any type of weight as floats. */
final class Widening {
  private Widening() {}

  static void widen(
      Tensor w, int row, int rows, int column, int columns, float[] out, int outAt, int outStride) {
    for (int r = 0; r < rows; r++) {
      widenRow(w, row + r, column, columns, out, outAt + r * outStride);
    }
  }

  private static void widenRow(Tensor w, int row, int column, int count, float[] out, int outAt) {
    MemorySegment memory = w.memory();
    long at = Elements.offset(w, row, column);
    int vectorized = FLOATS.loopBound(count);
    switch (w.dtype()) {
      case BF16 -> {
        for (int i = 0; i < vectorized; i += LANES) {
          bf16(memory, at + 2L * i).intoArray(out, outAt + i);
        }
      }
      case F16 -> {
        for (int i = 0; i < vectorized; i += LANES) {
          f16(memory, at + 2L * i).intoArray(out, outAt + i);
        }
      }
      case F32 -> {
        for (int i = 0; i < vectorized; i += LANES) {
          Lanes.load(memory, at + 4L * i).intoArray(out, outAt + i);
        }
      }
      case I32 -> throw new IllegalArgumentException("weights of I32");
    }
    if (count > 0) {
      readOnce(memory, at);
    }
    for (int i = vectorized; i < count; i++) {
      out[outAt + i] = Elements.get(w, row, column + i);
    }
  }

  /**
   * To be called behind a loop of vector loads from weights, which may be mapped from a file.
   * Reading where the file was cut meanwhile raises SIGBUS. HotSpot turns that into an
   * InternalError in compiled code that it knows to read native memory, and ends the process in
   * other code; of vector loads it does not know (seen with JDK 25.0.3). A plain read in the same
   * method tells it, even where the compiler then drops the read.
   */
  static void readOnce(MemorySegment memory, long at) {
    byte unused = memory.get(ValueLayout.JAVA_BYTE, at);
  }

  private static IntVector shorts(MemorySegment memory, long at) {
    return (IntVector)
        ShortVector.fromMemorySegment(SHORTS, memory, at, ORDER)
            .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
  }

  static FloatVector bf16(MemorySegment memory, long at) {
    return shorts(memory, at).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  /**
   * The exponent is moved into place and corrected by a multiplication, which is exact for
   * subnormal numbers too; infinities and NaN get the exponent that the correction missed.
   */
  private static FloatVector f16(MemorySegment memory, long at) {
    IntVector bits = shorts(memory, at);
    IntVector magnitude = bits.and(0x7fff);
    IntVector value =
        magnitude
            .lanewise(VectorOperators.LSHL, 13)
            .reinterpretAsFloats()
            .mul(0x1p112f)
            .reinterpretAsInts();
    value =
        value.lanewise(
            VectorOperators.OR, 0x7f800000, magnitude.compare(VectorOperators.GE, 0x7c00));
    IntVector sign = bits.lanewise(VectorOperators.LSHR, 15).lanewise(VectorOperators.LSHL, 31);
    return value.or(sign).reinterpretAsFloats();
  }
}
