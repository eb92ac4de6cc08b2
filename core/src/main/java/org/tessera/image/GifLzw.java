package org.tessera.image;

import java.io.IOException;
import java.nio.ByteBuffer;

/** GIF's variant of LZW: codes of 3 to 12 bits, least bit first, in blocks of up to 255 bytes. */
final class GifLzw {
  private static final int MAX_CODES = 4096;
  private static final int MAX_BITS = 12;

  private final ByteBuffer in;
  private int blockBytes;
  private int buffer;
  private int bufferBits;

  private GifLzw(ByteBuffer in) {
    this.in = in;
  }

  /**
   * Decodes palette indexes and moves behind their data, the end of which may come early: the rest
   * stays 0.
   *
   * @throws IOException where a code is impossible
   */
  static void decode(ByteBuffer in, byte[] indexes) throws IOException {
    int minimumBits = in.get();
    if (minimumBits < 1 || minimumBits > 8) {
      throw new IOException("no code size where one belongs");
    }
    GifLzw lzw = new GifLzw(in);
    lzw.decode(minimumBits, indexes);
    lzw.skipRest();
  }

  private void decode(int minimumBits, byte[] indexes) throws IOException {
    int clear = 1 << minimumBits;
    int end = clear + 1;
    // A code's string is the string of its prefix and one more index.
    short[] prefixes = new short[MAX_CODES];
    byte[] suffixes = new byte[MAX_CODES];
    short[] lengths = new short[MAX_CODES];
    for (int i = 0; i < clear; i++) {
      suffixes[i] = (byte) i;
      lengths[i] = 1;
    }
    int bits = minimumBits + 1;
    int next = end + 1;
    int previous = -1;
    int out = 0;
    while (out < indexes.length) {
      int code = readCode(bits);
      if (code == end) {
        return;
      }
      if (code == clear) {
        bits = minimumBits + 1;
        next = end + 1;
        previous = -1;
        continue;
      }
      // The code being defined may be used at once: it begins as the previous one does.
      boolean known = code < next;
      if (!known && (code != next || previous < 0) || previous < 0 && code > end) {
        throw new IOException("a code that is not defined");
      }
      int string = known ? code : previous;
      int length = lengths[string] + (known ? 0 : 1);
      int at = out + lengths[string] - 1;
      int walk = string;
      for (; walk >= clear; at--) {
        put(indexes, at, suffixes[walk]);
        walk = prefixes[walk];
      }
      byte first = suffixes[walk];
      put(indexes, at, first);
      if (!known) {
        put(indexes, out + length - 1, first);
      }
      out += length;
      if (previous >= 0 && next < MAX_CODES) {
        prefixes[next] = (short) previous;
        suffixes[next] = first;
        lengths[next] = (short) (lengths[previous] + 1);
        next++;
        if (next == 1 << bits && bits < MAX_BITS) {
          bits++;
        }
      }
      previous = code;
    }
  }

  private static void put(byte[] indexes, int at, byte value) {
    if (at < indexes.length) {
      indexes[at] = value;
    }
  }

  private int readCode(int bits) throws IOException {
    while (bufferBits < bits) {
      if (blockBytes == 0) {
        blockBytes = in.get() & 0xff;
        if (blockBytes == 0) {
          throw new IOException("the data end inside a picture");
        }
      }
      buffer |= (in.get() & 0xff) << bufferBits;
      bufferBits += 8;
      blockBytes--;
    }
    int code = buffer & ((1 << bits) - 1);
    buffer >>>= bits;
    bufferBits -= bits;
    return code;
  }

  private void skipRest() {
    in.position(in.position() + blockBytes);
    GifDecoder.skipBlocks(in);
  }
}
