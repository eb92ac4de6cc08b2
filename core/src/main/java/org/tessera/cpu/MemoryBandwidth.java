package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.LongAdder;

/**
 * How fast all cores together read memory that no cache holds: the upper limit of a decode step,
 * which reads every weight once.
 */
final class MemoryBandwidth {
  private static final long BUFFER_BYTES = 256L << 20;
  private static final int PIECE_BYTES = 1 << 20;
  private static final int PASSES = 8;

  private MemoryBandwidth() {}

  /** Bytes a second, the best of several passes. */
  static double measure(Workers workers) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment buffer = arena.allocate(BUFFER_BYTES, 64);
      LongAdder sum = new LongAdder();
      double best = 0;
      for (int pass = 0; pass < PASSES; pass++) {
        long start = System.nanoTime();
        workers.run(
            (int) (BUFFER_BYTES / PIECE_BYTES),
            BUFFER_BYTES,
            (piece, worker) -> sum.add(read(buffer, (long) piece * PIECE_BYTES)));
        best = Math.max(best, BUFFER_BYTES * 1e9 / (System.nanoTime() - start));
      }
      if (sum.sum() != 0) {
        throw new AssertionError("fresh memory is not zero");
      }
      return best;
    }
  }

  private static long read(MemorySegment buffer, long from) {
    long a = 0;
    long b = 0;
    long c = 0;
    long d = 0;
    for (int i = 0; i < PIECE_BYTES; i += 32) {
      a += buffer.get(JAVA_LONG, from + i);
      b += buffer.get(JAVA_LONG, from + i + 8);
      c += buffer.get(JAVA_LONG, from + i + 16);
      d += buffer.get(JAVA_LONG, from + i + 24);
    }
    return a + b + c + d;
  }
}
