package org.tessera.text;

import java.nio.charset.StandardCharsets;

/**
 * GPT-2's alphabet, in which tokenizer files write bytes: each of the 256 bytes has one printable
 * character. Printable Latin-1 bytes are their own character; the others, in order, are the
 * characters from U+0100 on. A space is {@code Ġ}, a line feed {@code Ċ}.
 */
final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];
  private static final short[] BYTES = new short[512];

  static {
    java.util.Arrays.fill(BYTES, (short) -1);
    int unprintable = 0;
    for (int b = 0; b < 256; b++) {
      boolean printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
      char c = (char) (printable ? b : 256 + unprintable++);
      CHARACTERS[b] = c;
      BYTES[c] = (short) b;
    }
  }

  private ByteAlphabet() {}

  /** The token that stands for one byte, 0 to 255. */
  static String token(int unsignedByte) {
    return String.valueOf(CHARACTERS[unsignedByte]);
  }

  /**
   * The bytes that a token stands for. A token with any character outside of the alphabet stands
   * for its own UTF-8, as in Hugging Face's ByteLevel decoder.
   */
  static byte[] bytes(String token) {
    byte[] bytes = new byte[token.length()];
    for (int i = 0; i < bytes.length; i++) {
      char c = token.charAt(i);
      if (c >= BYTES.length || BYTES[c] < 0) {
        return token.getBytes(StandardCharsets.UTF_8);
      }
      bytes[i] = (byte) BYTES[c];
    }
    return bytes;
  }
}
