package org.tessera.text;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Normalization form C in n log n. The JDK's Normalizer sorts combining marks by insertion: a
 * million of them in alternating order takes it minutes. So long runs of marks are brought into
 * canonical order first, which changes nothing about the result (Unicode annex 15).
 */
final class Nfc {
  /** Runs up to this length are left to the JDK. */
  private static final int SHORT_RUN = 64;

  /** Marks with the smallest and the largest combining class but 0: 1 and 240. */
  private static final int FIRST_MARK = 0x0334;

  private static final int LAST_MARK = 0x0345;

  /** Every character with a combining class but 0 is of one of these categories. */
  private static final int MARK =
      1 << Character.NON_SPACING_MARK
          | 1 << Character.COMBINING_SPACING_MARK
          | 1 << Character.ENCLOSING_MARK;

  private Nfc() {}

  static String normalize(String text) {
    return Normalizer.normalize(orderLongRuns(text), Normalizer.Form.NFC);
  }

  private static String orderLongRuns(String text) {
    StringBuilder ordered = null;
    int copied = 0;
    for (int start = 0; start < text.length(); ) {
      int end = start;
      while (end < text.length() && isMark(text.codePointAt(end))) {
        end += Character.charCount(text.codePointAt(end));
      }
      if (end - start > SHORT_RUN) {
        if (ordered == null) {
          ordered = new StringBuilder(text.length());
        }
        ordered.append(text, copied, start);
        appendOrdered(text.substring(start, end), ordered);
        copied = end;
      }
      start = end > start ? end : start + Character.charCount(text.codePointAt(start));
    }
    return ordered == null ? text : ordered.append(text, copied, text.length()).toString();
  }

  private static boolean isMark(int codePoint) {
    return codePoint >= 0x300 && (MARK >> Character.getType(codePoint) & 1) != 0;
  }

  /** Decomposes a run of marks and sorts it, stably and between starters, by combining class. */
  private static void appendOrdered(String run, StringBuilder out) {
    Map<Integer, String> decompositions = new HashMap<>();
    StringBuilder decomposed = new StringBuilder(run.length());
    for (int i = 0; i < run.length(); i += Character.charCount(run.codePointAt(i))) {
      int mark = run.codePointAt(i);
      decomposed.append(
          decompositions.computeIfAbsent(mark, m -> decompose(Character.toString(m))));
    }
    int[] marks = decomposed.codePoints().toArray();
    Map<Integer, Integer> ranks = ranks(marks);
    for (int start = 0; start < marks.length; ) {
      int end = start;
      while (end < marks.length && ranks.containsKey(marks[end])) {
        end++;
      }
      long[] keys = new long[end - start];
      for (int i = start; i < end; i++) {
        keys[i - start] = (long) ranks.getOrDefault(marks[i], 0) << 32 | i;
      }
      Arrays.sort(keys);
      for (long key : keys) {
        out.appendCodePoint(marks[(int) key]);
      }
      if (end < marks.length) {
        out.appendCodePoint(marks[end++]);
      }
      start = end;
    }
  }

  /**
   * The order of the combining classes of these marks; a mark of class 0 has none. The JDK does not
   * tell the classes, but its Normalizer shows which of two marks comes first.
   */
  private static Map<Integer, Integer> ranks(int[] marks) {
    List<Integer> reordered = new ArrayList<>();
    Arrays.stream(marks)
        .distinct()
        .filter(mark -> swaps(LAST_MARK, mark) || swaps(mark, FIRST_MARK))
        .forEach(reordered::add);
    reordered.sort((a, b) -> swaps(a, b) ? 1 : swaps(b, a) ? -1 : 0);
    Map<Integer, Integer> ranks = new HashMap<>();
    int rank = 0;
    for (int i = 0; i < reordered.size(); i++) {
      if (i > 0 && swaps(reordered.get(i), reordered.get(i - 1))) {
        rank++;
      }
      ranks.put(reordered.get(i), rank);
    }
    return ranks;
  }

  /** Whether canonical order puts the second of two marks first. */
  private static boolean swaps(int first, int second) {
    String pair = Character.toString(first) + Character.toString(second);
    return first != second && !decompose(pair).equals(pair);
  }

  private static String decompose(String text) {
    return Normalizer.normalize(text, Normalizer.Form.NFD);
  }
}
