package org.tessera.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What is known of the attention of one tile of queries after some of its keys: flash attention's
 * running maximum, sum and weighted values. A lane is one head of one row of queries.
 */
final class AttentionTile {
  private final Scratch queryBuffer = new Scratch();
  private final Scratch weightedBuffer = new Scratch();
  private final int[] seen;
  private final int[] limits;

  /** Scaled queries, [width][lanes]. */
  float[] queries = {};

  /** Sum over keys of weight times value, [width][lanes]. */
  float[] weighted = {};

  /** Largest score of each lane. */
  final float[] max;

  /** Sum of each lane's weights. */
  final float[] sum;

  /** Lanes that hold a query. */
  int used;

  AttentionTile(int maxLanes) {
    seen = new int[maxLanes];
    limits = new int[maxLanes];
    max = new float[maxLanes];
    sum = new float[maxLanes];
  }

  /** Forgets everything: no lane in use, no key seen. */
  void reset(int width, int lanes) {
    int rows = Math.ceilDiv(width, Kernels.TILE_ROWS) * Kernels.TILE_ROWS;
    queries = queryBuffer.atLeast(rows * lanes);
    weighted = weightedBuffer.atLeast(rows * lanes);
    Arrays.fill(queries, 0, rows * lanes, 0f);
    Arrays.fill(weighted, 0, rows * lanes, 0f);
    // Finite, so that the difference of two maxima is never NaN; every score is larger.
    Arrays.fill(max, -1e38f);
    Arrays.fill(sum, 0f);
    Arrays.fill(seen, Integer.MAX_VALUE);
    used = 0;
  }

  /** The lane sees keys 0 to {@code keys - 1}. */
  void see(int lane, int keys) {
    seen[lane] = keys;
  }

  /** Whether no lane sees key {@code key}. */
  boolean endsBefore(int key) {
    for (int lane = 0; lane < used; lane++) {
      if (seen[lane] > key) {
        return false;
      }
    }
    return true;
  }

  /**
   * How many of the keys from {@code from} on each lane sees, or null where all see {@code count}.
   */
  int @Nullable [] limits(int from, int count) {
    boolean limited = false;
    for (int lane = 0; lane < limits.length; lane++) {
      limits[lane] = seen[lane] - from;
      limited |= limits[lane] < count;
    }
    return limited ? limits : null;
  }

  /** Adds what another tile with the same queries found among other keys. */
  void merge(AttentionTile other, int width, int lanes) {
    for (int lane = 0; lane < used; lane++) {
      float newMax = Math.max(max[lane], other.max[lane]);
      float mine = (float) Math.exp(max[lane] - newMax);
      float others = (float) Math.exp(other.max[lane] - newMax);
      max[lane] = newMax;
      sum[lane] = sum[lane] * mine + other.sum[lane] * others;
      for (int at = lane; at < width * lanes; at += lanes) {
        weighted[at] = weighted[at] * mine + other.weighted[at] * others;
      }
    }
  }
}
