package org.tessera.text;

/**
 * Which two neighbouring tokens merge, how early and into what: an open-addressing hash table with
 * primitive keys, because it is asked once for every byte of a text.
 */
final class MergeTable {
  /** What {@link #find} answers for a pair that does not merge. */
  static final long NONE = -1;

  private static final long FREE = -1;

  private final long[] keys;
  private final long[] values;
  private final int mask;

  /** A table for so many merges; they are added before the table is shared. */
  MergeTable(int merges) {
    int slots = Integer.highestOneBit(Math.max(merges, 1)) << 2;
    keys = new long[slots];
    values = new long[slots];
    java.util.Arrays.fill(keys, FREE);
    mask = slots - 1;
  }

  /** Adds a merge; false where the pair is there already. */
  boolean add(int left, int right, int rank, int result) {
    int slot = slot(left, right);
    if (keys[slot] != FREE) {
      return false;
    }
    keys[slot] = key(left, right);
    values[slot] = (long) rank << 32 | result;
    return true;
  }

  /** Rank in the upper 32 bits and resulting id in the lower, or {@link #NONE}. */
  long find(int left, int right) {
    int slot = slot(left, right);
    return keys[slot] == FREE ? NONE : values[slot];
  }

  static int rank(long merge) {
    return (int) (merge >>> 32);
  }

  static int result(long merge) {
    return (int) merge;
  }

  private int slot(int left, int right) {
    long key = key(left, right);
    long hash = key * 0x9E3779B97F4A7C15L;
    int slot = (int) (hash >>> 32) & mask;
    while (keys[slot] != FREE && keys[slot] != key) {
      slot = slot + 1 & mask;
    }
    return slot;
  }

  private static long key(int left, int right) {
    return (long) left << 32 | right;
  }
}
