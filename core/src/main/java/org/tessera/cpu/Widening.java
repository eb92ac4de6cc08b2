package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.INTS;
import static org.tessera.cpu.Lanes.LANES;
import static org.tessera.cpu.Lanes.ORDER;
import static org.tessera.cpu.Lanes.SHORTS;

import java.lang.foreign.MemorySegment;
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
    for (int i = vectorized; i < count; i++) {
      out[outAt + i] = Elements.get(w, row, column + i);
    }
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
