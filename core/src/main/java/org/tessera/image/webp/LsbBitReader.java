package org.tessera.image.webp;

import java.io.EOFException;

/** Bits from the least significant one of each byte on. */
final class LsbBitReader {
  private final byte[] bytes;
  private final int end;
  private int position;
  private long buffer;
  private int bufferedBits;

  LsbBitReader(byte[] bytes, int start, int end) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  boolean readFlag() throws EOFException {
    return read(1) != 0;
  }

  /** Reads up to 24 bits. */
  int read(int bits) throws EOFException {
    int value = peek(bits);
    skip(bits);
    return value;
  }

  /** The next bits, zeros behind the end. */
  int peek(int bits) {
    while (bufferedBits < bits && position < end) {
      buffer |= (bytes[position++] & 0xffL) << bufferedBits;
      bufferedBits += 8;
    }
    return (int) (buffer & ((1L << bits) - 1));
  }

  /** Moves over bits that were peeked at. */
  void skip(int bits) throws EOFException {
    if (bits > bufferedBits) {
      throw new EOFException("the data end inside a picture");
    }
    buffer >>>= bits;
    bufferedBits -= bits;
  }
}
