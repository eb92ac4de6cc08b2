package org.tessera.image.webp;

import java.io.IOException;

/**
 * A canonical prefix code (RFC 9649, section 6.2.1): a table for the first bits of a code word, and
 * for longer words a search by length.
 */
final class PrefixCode {
  private static final int MAX_LENGTH = 15;

  /** Small, since a hostile file may hold hundreds of thousands of codes. */
  private static final int TABLE_BITS = 7;

  /** Words of each length. */
  private final int[] counts = new int[MAX_LENGTH + 1];

  /** Symbols in the order of their words. */
  private final short[] symbols;

  /** By the first bits, as read: symbol times 16 plus length; 0 for longer words. */
  private final int[] table;

  private final int tableBits;

  /**
   * @param lengths of each symbol's word, 0 for none
   * @throws IOException where these lengths do not make a complete code
   */
  PrefixCode(int[] lengths) throws IOException {
    int used = 0;
    int longest = 0;
    for (int length : lengths) {
      counts[length]++;
      if (length > 0) {
        used++;
        longest = Math.max(longest, length);
      }
    }
    counts[0] = 0;
    int[] next = new int[MAX_LENGTH + 2];
    int free = 1;
    for (int length = 1; length <= MAX_LENGTH; length++) {
      next[length + 1] = next[length] + counts[length];
      free = 2 * free - counts[length];
      if (free < 0) {
        throw new IOException("a prefix code with too many words");
      }
    }
    // A single symbol needs no bits, whatever length it was given.
    if (used == 0 || used > 1 && free != 0) {
      throw new IOException("an incomplete prefix code");
    }
    symbols = new short[used];
    for (int symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] > 0) {
        symbols[next[lengths[symbol]]++] = (short) symbol;
      }
    }
    tableBits = used == 1 ? 0 : Math.min(longest, TABLE_BITS);
    table = used == 1 ? new int[] {symbols[0] << 4} : table();
  }

  private int[] table() {
    int[] entries = new int[1 << tableBits];
    int word = 0;
    int index = 0;
    for (int length = 1; length <= tableBits; length++) {
      word <<= 1;
      for (int i = 0; i < counts[length]; i++, word++, index++) {
        int reversed = Integer.reverse(word) >>> (32 - length);
        for (int entry = reversed; entry < entries.length; entry += 1 << length) {
          entries[entry] = symbols[index] << 4 | length;
        }
      }
    }
    return entries;
  }

  int read(LsbBitReader in) throws IOException {
    int entry = table[in.peek(tableBits)];
    if (tableBits == 0 || entry != 0) {
      in.skip(entry & 15);
      return entry >> 4;
    }
    int bits = in.peek(MAX_LENGTH);
    int word = 0;
    int first = 0;
    int index = 0;
    for (int length = 1; length <= MAX_LENGTH; length++) {
      word = word << 1 | (bits & 1);
      bits >>= 1;
      first <<= 1;
      if (word - first < counts[length]) {
        in.skip(length);
        return symbols[index + word - first];
      }
      index += counts[length];
      first += counts[length];
    }
    throw new IOException("no word of its prefix code");
  }
}
