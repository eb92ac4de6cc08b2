package org.tessera.text;

/**
 * UTF-8 to characters with U+FFFD for each maximal part of an ill-formed sequence, as Rust's {@code
 * from_utf8_lossy} and Python's {@code errors="replace"} do (Unicode 16, table 3-7). The JDK's own
 * decoder differs: it gives one U+FFFD for a surrogate's three bytes where those give three.
 */
final class Utf8 {
  /** An incomplete character is at most this long. */
  static final int MAX_INCOMPLETE_BYTES = 3;

  private static final char REPLACEMENT = '\uFFFD';

  private Utf8() {}

  /**
   * Appends the characters of the first {@code length} bytes.
   *
   * @param last whether no bytes follow: a character cut off by the end is then U+FFFD, else it is
   *     left alone
   * @return bytes consumed: all of them where {@code last}, else all but an incomplete character
   */
  static int decode(byte[] bytes, int length, boolean last, StringBuilder out) {
    int at = 0;
    while (at < length) {
      int lead = bytes[at] & 0xFF;
      if (lead < 0x80) {
        out.append((char) lead);
        at++;
        continue;
      }
      int needed = continuationBytes(lead);
      int found = 0;
      while (found < needed
          && at + found + 1 < length
          && continues(lead, found, bytes[at + found + 1] & 0xFF)) {
        found++;
      }
      if (needed > 0 && found == needed) {
        out.appendCodePoint(codePoint(bytes, at, needed));
      } else if (found < needed && at + found + 1 == length && !last) {
        break;
      } else {
        out.append(REPLACEMENT);
      }
      at += 1 + found;
    }
    return at;
  }

  /** How many bytes follow a lead byte that is not ASCII; 0 where it leads nothing. */
  private static int continuationBytes(int lead) {
    if (lead < 0xC2 || lead > 0xF4) {
      return 0;
    }
    return lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  }

  /** Whether a byte may follow this lead and so many continuation bytes. */
  private static boolean continues(int lead, int found, int value) {
    int low = 0x80;
    int high = 0xBF;
    if (found == 0) {
      switch (lead) {
        case 0xE0 -> low = 0xA0; // below is overlong
        case 0xED -> high = 0x9F; // above are surrogates
        case 0xF0 -> low = 0x90; // below is overlong
        case 0xF4 -> high = 0x8F; // above is beyond U+10FFFF
        default -> {}
      }
    }
    return value >= low && value <= high;
  }

  private static int codePoint(byte[] bytes, int start, int continuations) {
    int codePoint = bytes[start] & (0x3F >> continuations);
    for (int i = 1; i <= continuations; i++) {
      codePoint = codePoint << 6 | bytes[start + i] & 0x3F;
    }
    return codePoint;
  }
}
