package org.tessera.image.webp;

import java.io.EOFException;

/** VP8's arithmetic decoder of bits with known probabilities (RFC 6386, section 7). */
final class BoolDecoder {
  /** Encoders may leave out trailing zeros; more than this is a file that was cut off. */
  private static final int MAX_MISSING_BYTES = 8;

  private static final int HALF = 128;
  private final byte[] bytes;
  private final int end;
  private int position;
  private int range = 255;

  /** The bits ahead, of which the upper ones are compared with the range. */
  private int value;

  /** Bits in {@code value} below those that are compared. */
  private int spareBits = -8;

  BoolDecoder(byte[] bytes, int start, int end) throws EOFException {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** Reads a bit that is 0 with this probability, in 256ths. */
  boolean read(int probability) throws EOFException {
    if (spareBits < 0) {
      fill();
    }
    int split = 1 + ((range - 1) * probability >> 8);
    int bigSplit = split << spareBits;
    boolean bit = value >= bigSplit;
    if (bit) {
      range -= split;
      value -= bigSplit;
    } else {
      range = split;
    }
    // The range is kept from 128 to 255.
    int shift = Integer.numberOfLeadingZeros(range) - 24;
    range <<= shift;
    spareBits -= shift;
    return bit;
  }

  private void fill() throws EOFException {
    while (spareBits < 8) {
      int next = 0;
      if (position < end) {
        next = bytes[position] & 0xff;
      } else if (position - end >= MAX_MISSING_BYTES) {
        throw new EOFException("the data end inside a picture");
      }
      position++;
      value = value << 8 | next;
      spareBits += 8;
    }
  }

  int readBit(int probability) throws EOFException {
    return read(probability) ? 1 : 0;
  }

  boolean readFlag() throws EOFException {
    return read(HALF);
  }

  /** An unsigned number, upper bits first. */
  int readNumber(int bits) throws EOFException {
    int number = 0;
    for (int i = 0; i < bits; i++) {
      number = number << 1 | readBit(HALF);
    }
    return number;
  }

  /** A flag, and where it is set a number and its sign; else 0. */
  int readOptionalSigned(int bits) throws EOFException {
    if (!readFlag()) {
      return 0;
    }
    int number = readNumber(bits);
    return readFlag() ? -number : number;
  }
}
