package org.tessera.sampling;

import java.util.Arrays;

/**
 * The k best of many (score, id) pairs: higher scores first, of equal scores the lower id first.
 * Most scores of a vocabulary fail one comparison with the worst kept one, so that selecting is
 * about as cheap as reading. Reusable; allocates nothing after construction.
 */
final class TopK {
  /** Min-heap of {@link #key}s: the root is the worst kept pair. */
  private final long[] heap;

  private int size;

  TopK(int capacity) {
    heap = new long[capacity];
  }

  void clear() {
    size = 0;
  }

  int size() {
    return size;
  }

  /**
   * Offers {@code scores[i] + base} under the id {@code firstId + i}. Ids must ascend over all
   * calls since the last {@link #clear}, for ties are decided by the order of arrival.
   */
  void offerAll(float[] scores, float base, int firstId) {
    if (heap.length == 0) {
      return;
    }
    int i = 0;
    for (; i < scores.length && size < heap.length; i++) {
      insert(key(scores[i] + base, firstId + i));
    }
    float worst = worst();
    for (; i < scores.length; i++) {
      float score = scores[i] + base;
      if (score > worst) {
        replaceWorst(key(score, firstId + i));
        worst = worst();
      }
    }
  }

  /** The lowest kept score, of at least one: the k-th largest where k or more were offered. */
  float worst() {
    return scoreOf(heap[0]);
  }

  /** Puts the best at rank 0. An ascending array is a heap too: more may be offered afterwards. */
  void sort() {
    Arrays.sort(heap, 0, size);
  }

  /** After {@link #sort}. */
  int id(int rank) {
    return Integer.MAX_VALUE - (int) heap[size - 1 - rank];
  }

  /** After {@link #sort}. */
  float score(int rank) {
    return scoreOf(heap[size - 1 - rank]);
  }

  private void insert(long key) {
    int at = size++;
    while (at > 0 && heap[(at - 1) / 2] > key) {
      heap[at] = heap[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    heap[at] = key;
  }

  private void replaceWorst(long key) {
    int at = 0;
    for (int child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[child] >= key) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = key;
  }

  /** Orders as the pair does: the score's bits made to order as a signed int, then the id. */
  private static long key(float score, int id) {
    return (long) ordered(Float.floatToRawIntBits(score)) << 32 | (Integer.MAX_VALUE - id);
  }

  private static float scoreOf(long key) {
    return Float.intBitsToFloat(ordered((int) (key >> 32)));
  }

  /** Its own inverse: flips all but the sign of a negative float's bits. */
  private static int ordered(int bits) {
    return bits ^ ((bits >> 31) & Integer.MAX_VALUE);
  }
}
