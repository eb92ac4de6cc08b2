package org.tessera.cpu;

import static org.tessera.cpu.Lanes.FLOATS;
import static org.tessera.cpu.Lanes.LANES;

import jdk.incubator.vector.FloatVector;

/**
 * Tiles whose left operand lies in rows. The accumulators are local variables, and the loop is
 * alone in its method, because only so does the compiler keep all of them in registers.
 */
final class RowTiles {
  private RowTiles() {}

  /** Twelve rows of two vectors. */
  static void two(
      float[] a, int aAt, int aStride, float[] b, int bAt, int depth, float[] c, int cAt) {
    FloatVector c0a = FloatVector.fromArray(FLOATS, c, cAt);
    FloatVector c0b = FloatVector.fromArray(FLOATS, c, cAt + LANES);
    FloatVector c1a = FloatVector.fromArray(FLOATS, c, cAt + 2 * LANES);
    FloatVector c1b = FloatVector.fromArray(FLOATS, c, cAt + 3 * LANES);
    FloatVector c2a = FloatVector.fromArray(FLOATS, c, cAt + 4 * LANES);
    FloatVector c2b = FloatVector.fromArray(FLOATS, c, cAt + 5 * LANES);
    FloatVector c3a = FloatVector.fromArray(FLOATS, c, cAt + 6 * LANES);
    FloatVector c3b = FloatVector.fromArray(FLOATS, c, cAt + 7 * LANES);
    FloatVector c4a = FloatVector.fromArray(FLOATS, c, cAt + 8 * LANES);
    FloatVector c4b = FloatVector.fromArray(FLOATS, c, cAt + 9 * LANES);
    FloatVector c5a = FloatVector.fromArray(FLOATS, c, cAt + 10 * LANES);
    FloatVector c5b = FloatVector.fromArray(FLOATS, c, cAt + 11 * LANES);
    FloatVector c6a = FloatVector.fromArray(FLOATS, c, cAt + 12 * LANES);
    FloatVector c6b = FloatVector.fromArray(FLOATS, c, cAt + 13 * LANES);
    FloatVector c7a = FloatVector.fromArray(FLOATS, c, cAt + 14 * LANES);
    FloatVector c7b = FloatVector.fromArray(FLOATS, c, cAt + 15 * LANES);
    FloatVector c8a = FloatVector.fromArray(FLOATS, c, cAt + 16 * LANES);
    FloatVector c8b = FloatVector.fromArray(FLOATS, c, cAt + 17 * LANES);
    FloatVector c9a = FloatVector.fromArray(FLOATS, c, cAt + 18 * LANES);
    FloatVector c9b = FloatVector.fromArray(FLOATS, c, cAt + 19 * LANES);
    FloatVector c10a = FloatVector.fromArray(FLOATS, c, cAt + 20 * LANES);
    FloatVector c10b = FloatVector.fromArray(FLOATS, c, cAt + 21 * LANES);
    FloatVector c11a = FloatVector.fromArray(FLOATS, c, cAt + 22 * LANES);
    FloatVector c11b = FloatVector.fromArray(FLOATS, c, cAt + 23 * LANES);
    for (int k = 0; k < depth; k++) {
      FloatVector bA = FloatVector.fromArray(FLOATS, b, bAt + k * 2 * LANES);
      FloatVector bB = FloatVector.fromArray(FLOATS, b, bAt + k * 2 * LANES + LANES);
      FloatVector a0 = FloatVector.broadcast(FLOATS, a[aAt + k]);
      c0a = a0.fma(bA, c0a);
      c0b = a0.fma(bB, c0b);
      FloatVector a1 = FloatVector.broadcast(FLOATS, a[aAt + aStride + k]);
      c1a = a1.fma(bA, c1a);
      c1b = a1.fma(bB, c1b);
      FloatVector a2 = FloatVector.broadcast(FLOATS, a[aAt + 2 * aStride + k]);
      c2a = a2.fma(bA, c2a);
      c2b = a2.fma(bB, c2b);
      FloatVector a3 = FloatVector.broadcast(FLOATS, a[aAt + 3 * aStride + k]);
      c3a = a3.fma(bA, c3a);
      c3b = a3.fma(bB, c3b);
      FloatVector a4 = FloatVector.broadcast(FLOATS, a[aAt + 4 * aStride + k]);
      c4a = a4.fma(bA, c4a);
      c4b = a4.fma(bB, c4b);
      FloatVector a5 = FloatVector.broadcast(FLOATS, a[aAt + 5 * aStride + k]);
      c5a = a5.fma(bA, c5a);
      c5b = a5.fma(bB, c5b);
      FloatVector a6 = FloatVector.broadcast(FLOATS, a[aAt + 6 * aStride + k]);
      c6a = a6.fma(bA, c6a);
      c6b = a6.fma(bB, c6b);
      FloatVector a7 = FloatVector.broadcast(FLOATS, a[aAt + 7 * aStride + k]);
      c7a = a7.fma(bA, c7a);
      c7b = a7.fma(bB, c7b);
      FloatVector a8 = FloatVector.broadcast(FLOATS, a[aAt + 8 * aStride + k]);
      c8a = a8.fma(bA, c8a);
      c8b = a8.fma(bB, c8b);
      FloatVector a9 = FloatVector.broadcast(FLOATS, a[aAt + 9 * aStride + k]);
      c9a = a9.fma(bA, c9a);
      c9b = a9.fma(bB, c9b);
      FloatVector a10 = FloatVector.broadcast(FLOATS, a[aAt + 10 * aStride + k]);
      c10a = a10.fma(bA, c10a);
      c10b = a10.fma(bB, c10b);
      FloatVector a11 = FloatVector.broadcast(FLOATS, a[aAt + 11 * aStride + k]);
      c11a = a11.fma(bA, c11a);
      c11b = a11.fma(bB, c11b);
    }
    c0a.intoArray(c, cAt);
    c0b.intoArray(c, cAt + LANES);
    c1a.intoArray(c, cAt + 2 * LANES);
    c1b.intoArray(c, cAt + 3 * LANES);
    c2a.intoArray(c, cAt + 4 * LANES);
    c2b.intoArray(c, cAt + 5 * LANES);
    c3a.intoArray(c, cAt + 6 * LANES);
    c3b.intoArray(c, cAt + 7 * LANES);
    c4a.intoArray(c, cAt + 8 * LANES);
    c4b.intoArray(c, cAt + 9 * LANES);
    c5a.intoArray(c, cAt + 10 * LANES);
    c5b.intoArray(c, cAt + 11 * LANES);
    c6a.intoArray(c, cAt + 12 * LANES);
    c6b.intoArray(c, cAt + 13 * LANES);
    c7a.intoArray(c, cAt + 14 * LANES);
    c7b.intoArray(c, cAt + 15 * LANES);
    c8a.intoArray(c, cAt + 16 * LANES);
    c8b.intoArray(c, cAt + 17 * LANES);
    c9a.intoArray(c, cAt + 18 * LANES);
    c9b.intoArray(c, cAt + 19 * LANES);
    c10a.intoArray(c, cAt + 20 * LANES);
    c10b.intoArray(c, cAt + 21 * LANES);
    c11a.intoArray(c, cAt + 22 * LANES);
    c11b.intoArray(c, cAt + 23 * LANES);
  }

  /** Twelve rows of one vector. */
  static void one(
      float[] a, int aAt, int aStride, float[] b, int bAt, int depth, float[] c, int cAt) {
    FloatVector c0 = FloatVector.fromArray(FLOATS, c, cAt);
    FloatVector c1 = FloatVector.fromArray(FLOATS, c, cAt + LANES);
    FloatVector c2 = FloatVector.fromArray(FLOATS, c, cAt + 2 * LANES);
    FloatVector c3 = FloatVector.fromArray(FLOATS, c, cAt + 3 * LANES);
    FloatVector c4 = FloatVector.fromArray(FLOATS, c, cAt + 4 * LANES);
    FloatVector c5 = FloatVector.fromArray(FLOATS, c, cAt + 5 * LANES);
    FloatVector c6 = FloatVector.fromArray(FLOATS, c, cAt + 6 * LANES);
    FloatVector c7 = FloatVector.fromArray(FLOATS, c, cAt + 7 * LANES);
    FloatVector c8 = FloatVector.fromArray(FLOATS, c, cAt + 8 * LANES);
    FloatVector c9 = FloatVector.fromArray(FLOATS, c, cAt + 9 * LANES);
    FloatVector c10 = FloatVector.fromArray(FLOATS, c, cAt + 10 * LANES);
    FloatVector c11 = FloatVector.fromArray(FLOATS, c, cAt + 11 * LANES);
    for (int k = 0; k < depth; k++) {
      FloatVector bA = FloatVector.fromArray(FLOATS, b, bAt + k * LANES);
      FloatVector a0 = FloatVector.broadcast(FLOATS, a[aAt + k]);
      c0 = a0.fma(bA, c0);
      FloatVector a1 = FloatVector.broadcast(FLOATS, a[aAt + aStride + k]);
      c1 = a1.fma(bA, c1);
      FloatVector a2 = FloatVector.broadcast(FLOATS, a[aAt + 2 * aStride + k]);
      c2 = a2.fma(bA, c2);
      FloatVector a3 = FloatVector.broadcast(FLOATS, a[aAt + 3 * aStride + k]);
      c3 = a3.fma(bA, c3);
      FloatVector a4 = FloatVector.broadcast(FLOATS, a[aAt + 4 * aStride + k]);
      c4 = a4.fma(bA, c4);
      FloatVector a5 = FloatVector.broadcast(FLOATS, a[aAt + 5 * aStride + k]);
      c5 = a5.fma(bA, c5);
      FloatVector a6 = FloatVector.broadcast(FLOATS, a[aAt + 6 * aStride + k]);
      c6 = a6.fma(bA, c6);
      FloatVector a7 = FloatVector.broadcast(FLOATS, a[aAt + 7 * aStride + k]);
      c7 = a7.fma(bA, c7);
      FloatVector a8 = FloatVector.broadcast(FLOATS, a[aAt + 8 * aStride + k]);
      c8 = a8.fma(bA, c8);
      FloatVector a9 = FloatVector.broadcast(FLOATS, a[aAt + 9 * aStride + k]);
      c9 = a9.fma(bA, c9);
      FloatVector a10 = FloatVector.broadcast(FLOATS, a[aAt + 10 * aStride + k]);
      c10 = a10.fma(bA, c10);
      FloatVector a11 = FloatVector.broadcast(FLOATS, a[aAt + 11 * aStride + k]);
      c11 = a11.fma(bA, c11);
    }
    c0.intoArray(c, cAt);
    c1.intoArray(c, cAt + LANES);
    c2.intoArray(c, cAt + 2 * LANES);
    c3.intoArray(c, cAt + 3 * LANES);
    c4.intoArray(c, cAt + 4 * LANES);
    c5.intoArray(c, cAt + 5 * LANES);
    c6.intoArray(c, cAt + 6 * LANES);
    c7.intoArray(c, cAt + 7 * LANES);
    c8.intoArray(c, cAt + 8 * LANES);
    c9.intoArray(c, cAt + 9 * LANES);
    c10.intoArray(c, cAt + 10 * LANES);
    c11.intoArray(c, cAt + 11 * LANES);
  }
}
