package org.tessera.text;

import java.util.Arrays;

/**
 * Merges the bytes of one piece: always the pair of the lowest rank, the leftmost of equals. The
 * symbols are a linked list over arrays and the candidates a heap, so that a piece of n bytes costs
 * n log n, however long it is. Holds scratch memory: one per thread and call.
 */
final class BytePairMerger {
  private static final int NOTHING = -1;

  private final MergeTable merges;
  private int[] next = new int[0];
  private int[] previous = new int[0];

  /** Of the pair that starts at a symbol: its merge, or {@link MergeTable#NONE}. */
  private long[] merge = new long[0];

  /** Rank in the upper 32 bits, position in the lower; entries may be outdated. */
  private long[] heap = new long[16];

  private int heapSize;

  BytePairMerger(MergeTable merges) {
    this.merges = merges;
  }

  /** Merges {@code count} symbols from {@code first} on in place and returns how many are left. */
  int merge(int[] symbols, int first, int count) {
    if (count < 2) {
      return count;
    }
    reserve(count);
    heapSize = 0;
    for (int i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1 < count ? i + 1 : NOTHING;
      offer(symbols, first, i);
    }
    while (heapSize > 0) {
      long best = poll();
      int at = (int) best;
      if (merge[at] == MergeTable.NONE || MergeTable.rank(merge[at]) != best >>> 32) {
        continue; // a neighbour has merged since this pair was offered
      }
      int eaten = next[at];
      symbols[first + at] = MergeTable.result(merge[at]);
      merge[eaten] = MergeTable.NONE;
      next[at] = next[eaten];
      if (next[at] != NOTHING) {
        previous[next[at]] = at;
      }
      offer(symbols, first, at);
      if (previous[at] != NOTHING) {
        offer(symbols, first, previous[at]);
      }
    }
    int left = 0;
    for (int i = 0; i != NOTHING; i = next[i]) {
      symbols[first + left++] = symbols[first + i];
    }
    return left;
  }

  private void reserve(int count) {
    if (next.length < count) {
      int capacity = Math.max(count, 2 * next.length);
      next = new int[capacity];
      previous = new int[capacity];
      merge = new long[capacity];
    }
  }

  /** Looks up the pair that starts at a symbol and makes it a candidate where it merges. */
  private void offer(int[] symbols, int first, int at) {
    long found =
        next[at] == NOTHING
            ? MergeTable.NONE
            : merges.find(symbols[first + at], symbols[first + next[at]]);
    merge[at] = found;
    if (found != MergeTable.NONE) {
      push((long) MergeTable.rank(found) << 32 | at);
    }
  }

  private void push(long entry) {
    if (heapSize == heap.length) {
      heap = Arrays.copyOf(heap, 2 * heap.length);
    }
    int at = heapSize++;
    while (at > 0) {
      int parent = (at - 1) >>> 1;
      if (heap[parent] <= entry) {
        break;
      }
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  private long poll() {
    long top = heap[0];
    long last = heap[--heapSize];
    int at = 0;
    for (int child = 1; child < heapSize; child = 2 * at + 1) {
      if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[child] >= last) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
