package org.tessera.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** The widest vectors of this processor and what is computed on them beyond plain arithmetic. */
final class Lanes {
  static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, FLOATS.vectorShape());

  /** As many shorts as there are floats in a vector. */
  static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));

  static final int LANES = FLOATS.length();
  static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private static final float LOG2_E = 1.442695f;

  /** ln 2 in two parts; products of the first with small integers are exact. */
  private static final float LN2_HIGH = 0x1.63p-1f;

  private static final float LN2_LOW = -2.12194440e-4f;

  /** Added to a small float it leaves its nearest integer in the low bits of the sum. */
  private static final float ROUNDER = 0x1.8p23f;

  /** Beyond these e^x leaves the normal floats or 2^n does. */
  private static final float LOWEST = -87.33654f;

  private static final float HIGHEST = 88.02969f;
  private static final float LARGEST = 0x1p127f;

  private Lanes() {}

  static FloatVector load(MemorySegment memory, long at) {
    return FloatVector.fromMemorySegment(FLOATS, memory, at, ORDER);
  }

  /** Zero where the mask is unset. */
  static FloatVector load(MemorySegment memory, long at, VectorMask<Float> mask) {
    return FloatVector.fromMemorySegment(FLOATS, memory, at, ORDER, mask);
  }

  static void store(FloatVector vector, MemorySegment memory, long at) {
    vector.intoMemorySegment(memory, at, ORDER);
  }

  /** e^x with an error of about one unit in the last place; see {@link #expOfNegative}. */
  static FloatVector exp(FloatVector x) {
    return expOfNegative(x).blend(LARGEST, x.compare(VectorOperators.GT, HIGHEST));
  }

  /**
   * e^x where no x is above {@link #HIGHEST}: x = n ln 2 + r, e^r by Cephes' polynomial, 2^n by
   * putting n into the exponent. Zero below {@link #LOWEST}, NaN for NaN.
   */
  static FloatVector expOfNegative(FloatVector x) {
    FloatVector rounded =
        x.fma(FloatVector.broadcast(FLOATS, LOG2_E), FloatVector.broadcast(FLOATS, ROUNDER));
    FloatVector n = rounded.sub(ROUNDER);
    FloatVector r = n.fma(FloatVector.broadcast(FLOATS, -LN2_HIGH), x);
    r = n.fma(FloatVector.broadcast(FLOATS, -LN2_LOW), r);
    FloatVector p = FloatVector.broadcast(FLOATS, 1.9875691e-4f);
    p = p.fma(r, FloatVector.broadcast(FLOATS, 1.3981999e-3f));
    p = p.fma(r, FloatVector.broadcast(FLOATS, 8.333452e-3f));
    p = p.fma(r, FloatVector.broadcast(FLOATS, 4.1665796e-2f));
    p = p.fma(r, FloatVector.broadcast(FLOATS, 0.16666666f));
    p = p.fma(r, FloatVector.broadcast(FLOATS, 0.5f));
    p = p.fma(r.mul(r), r.add(1f));
    IntVector power = rounded.reinterpretAsInts().add(127).lanewise(VectorOperators.LSHL, 23);
    return p.mul(power.reinterpretAsFloats()).blend(0f, x.compare(VectorOperators.LT, LOWEST));
  }

  /** x / (1 + e^-x). */
  static FloatVector silu(FloatVector x) {
    return x.div(exp(x.neg()).add(1f));
  }

  /**
   * gelu by tanh without a tanh: 0.5 (1 + tanh u) = 1 / (1 + e^-2u), which loses no digits where u
   * is small.
   */
  static FloatVector geluTanh(FloatVector x) {
    FloatVector u2 = x.mul(x).mul(2 * 0.044715f * 0.7978846f).add(2 * 0.7978846f).mul(x);
    return x.div(exp(u2.neg()).add(1f));
  }
}
