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
  /** Several times the caches of a large server. */
  private static final long BUFFER_BYTES = 1L << 30;

  private static final long BRIEF_BYTES = 64L << 20;
  private static final long PIECE_BYTES = 1 << 20;
  private static final int PASSES = 5;

  /** A long of bytes that are 1. */
  private static final long ONES = 0x0101010101010101L;

  private MemoryBandwidth() {}

  /** Bytes a second, the best of several passes. */
  static double measure(Workers workers) {
    return measure(workers, bufferBytes());
  }

  /** The same within some tens of milliseconds, by a buffer that large caches hold a part of. */
  static double measureBriefly(Workers workers) {
    return measure(workers, Math.min(bufferBytes(), BRIEF_BYTES));
  }

  private static double measure(Workers workers, long bytes) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment buffer = arena.allocate(bytes, 64);
      // Memory that nothing was written to may be one page of zeros, over and over, in the cache.
      buffer.fill((byte) 1);
      long expected = bytes / Long.BYTES * ONES;
      double best = 0;
      for (int pass = 0; pass < PASSES; pass++) {
        long start = System.nanoTime();
        if (sum(workers, buffer) != expected) {
          throw new AssertionError("memory does not hold what was written to it");
        }
        best = Math.max(best, bytes * 1e9 / (System.nanoTime() - start));
      }
      return best;
    }
  }

  /** The full size, or what a small machine can spare. */
  static long bufferBytes() {
    long spared = HostMemory.freeBytes() / 4 / PIECE_BYTES * PIECE_BYTES;
    return Math.clamp(spared, PIECE_BYTES, BUFFER_BYTES);
  }

  /** Reads the whole buffer, in which nothing but longs lies, and returns their sum. */
  static long sum(Workers workers, MemorySegment buffer) {
    LongAdder sum = new LongAdder();
    int pieces = Math.toIntExact(buffer.byteSize() / PIECE_BYTES);
    workers.run(
        pieces, buffer.byteSize(), (piece, worker) -> sum.add(sum(buffer, piece * PIECE_BYTES)));
    return sum.sum();
  }

  private static long sum(MemorySegment buffer, long from) {
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
