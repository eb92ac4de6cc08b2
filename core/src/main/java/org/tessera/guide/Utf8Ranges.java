package org.tessera.guide;

import java.util.ArrayList;
import java.util.List;

/** Ranges of code points as sequences of byte ranges. */
final class Utf8Ranges {
  private static final int[] LAST_OF_LENGTH = {0x7F, 0x7FF, 0xFFFF, Character.MAX_CODE_POINT};

  /** What UTF-8 cannot write. */
  private static final CodePoints SURROGATES =
      CodePoints.range(Character.MIN_SURROGATE, Character.MAX_SURROGATE);

  private Utf8Ranges() {}

  /** A range for each byte of a sequence: [length][first, last]. */
  static List<int[][]> of(CodePoints set) {
    List<int[][]> sequences = new ArrayList<>();
    for (CodePoints.Range range : set.minus(SURROGATES).ranges()) {
      int first = range.first();
      for (int last : LAST_OF_LENGTH) {
        if (first <= last && first <= range.last()) {
          int end = Math.min(last, range.last());
          split(first, end, sequences);
          first = end + 1;
        }
      }
    }
    return sequences;
  }

  /** Cuts a range of equally long encodings until each byte of it varies on its own. */
  private static void split(int first, int last, List<int[][]> out) {
    byte[] from = encode(first);
    for (int tail = 1; tail < from.length; tail++) {
      int mask = (1 << (6 * tail)) - 1;
      if ((first & ~mask) != (last & ~mask)) {
        if ((first & mask) != 0) {
          split(first, first | mask, out);
          split((first | mask) + 1, last, out);
          return;
        }
        if ((last & mask) != mask) {
          split(first, (last & ~mask) - 1, out);
          split(last & ~mask, last, out);
          return;
        }
      }
    }
    byte[] to = encode(last);
    int[][] sequence = new int[from.length][];
    for (int i = 0; i < from.length; i++) {
      sequence[i] = new int[] {from[i] & 0xFF, to[i] & 0xFF};
    }
    out.add(sequence);
  }

  private static byte[] encode(int c) {
    if (c < 0x80) {
      return new byte[] {(byte) c};
    }
    if (c < 0x800) {
      return new byte[] {(byte) (0xC0 | c >> 6), tail(c)};
    }
    if (c < 0x10000) {
      return new byte[] {(byte) (0xE0 | c >> 12), tail(c >> 6), tail(c)};
    }
    return new byte[] {(byte) (0xF0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)};
  }

  private static byte tail(int c) {
    return (byte) (0x80 | (c & 0x3F));
  }
}
