package org.tessera.image;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The entropy-coded data of a baseline scan as bits: without the zeros that are stuffed behind
 * 0xff, and cut where the coding starts anew.
 */
final class JpegScan {
  /** More than the blocks of an MCU take at most, so that it can be read without looking. */
  static final int SPARE_BYTES = 4096;

  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
  private static final int RST0 = 0xd0;
  private static final int RST7 = 0xd7;
  private static final int EOI = 0xd9;

  private final byte[] bits;

  /** Where the intervals end, in bytes of {@link #bits}. */
  private final int[] ends;

  private JpegScan(byte[] bits, int[] ends) {
    this.bits = bits;
    this.ends = ends;
  }

  /**
   * The data from {@code start} to the end of the picture.
   *
   * @param intervals how many there must be, which restart markers part from each other
   * @throws JpegUnusual where it is otherwise, or anything but the end of the picture follows
   */
  static JpegScan of(byte[] file, int start, int intervals) throws JpegUnusual {
    byte[] bits = new byte[file.length - start + SPARE_BYTES];
    int[] ends = new int[intervals];
    int interval = 0;
    int length = 0;
    int from = start;
    for (int i = start; i + 1 < file.length; i++) {
      if (file[i] != (byte) 0xff) {
        continue;
      }
      int next = file[i + 1] & 0xff;
      int count = i - from + (next == 0 ? 1 : 0);
      System.arraycopy(file, from, bits, length, count);
      length += count;
      from = i + 2;
      i++;
      if (next == 0) {
        continue;
      }
      ends[interval] = length;
      if (next == EOI && interval == intervals - 1) {
        return new JpegScan(bits, ends);
      }
      if (next != RST0 + interval % (RST7 - RST0 + 1) || interval == intervals - 1) {
        throw new JpegUnusual();
      }
      interval++;
    }
    throw new JpegUnusual();
  }

  /** The bit at which an interval begins. */
  long begin(int interval) {
    return interval == 0 ? 0 : 8L * ends[interval - 1];
  }

  /**
   * Checks that an MCU was read from within its interval.
   *
   * @param position the bit after it
   * @param last whether the interval ends with it: less than a byte may be left then
   */
  void check(int interval, long position, boolean last) throws JpegUnusual {
    long left = 8L * ends[interval] - position;
    if (left < 0 || last && left >= 8) {
      throw new JpegUnusual();
    }
  }

  /** The bits from a position on, the first one highest; 57 of them count. */
  long window(long position) {
    return (long) LONGS.get(bits, (int) (position >>> 3)) << (position & 7);
  }

  /** Canonical Huffman codes: of a window, the length of its first code and the code's symbol. */
  static final class Codes {
    private static final int FAST_BITS = 9;
    private static final int MAX_BITS = 16;

    /** By the first bits, length << 8 | symbol; 0 where the code is longer. */
    private final short[] fast = new short[1 << FAST_BITS];

    /** Of each length the first code that is longer, left-aligned in 16 bits. */
    private final int[] limits = new int[MAX_BITS + 1];

    /** What the codes of a length lie above the indices of their symbols. */
    private final int[] offsets = new int[MAX_BITS + 1];

    private final byte[] symbols;

    /**
     * @param counts codes of 1 to 16 bits
     * @param symbols in the order of their codes
     */
    Codes(int[] counts, byte[] symbols) throws JpegUnusual {
      this.symbols = symbols;
      int code = 0;
      int index = 0;
      for (int length = 1; length <= MAX_BITS; length++) {
        offsets[length] = code - index;
        int end = code + counts[length - 1];
        if (end > 1 << length) {
          throw new JpegUnusual();
        }
        for (; code < end; code++, index++) {
          if (length <= FAST_BITS) {
            int first = code << FAST_BITS - length;
            short entry = (short) (length << 8 | symbols[index] & 0xff);
            Arrays.fill(fast, first, first + (1 << FAST_BITS - length), entry);
          }
        }
        limits[length] = code << MAX_BITS - length;
        code <<= 1;
      }
    }

    /** Length << 8 | symbol of the code with which a window begins. */
    int lookUp(long window) throws JpegUnusual {
      int entry = fast[(int) (window >>> Long.SIZE - FAST_BITS)];
      return entry != 0 ? entry : longer(window);
    }

    private int longer(long window) throws JpegUnusual {
      int bits = (int) (window >>> Long.SIZE - MAX_BITS);
      for (int length = FAST_BITS + 1; length <= MAX_BITS; length++) {
        if (bits < limits[length]) {
          int index = (bits >>> MAX_BITS - length) - offsets[length];
          return length << 8 | symbols[index] & 0xff;
        }
      }
      throw new JpegUnusual();
    }
  }
}
