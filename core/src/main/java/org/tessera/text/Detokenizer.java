package org.tessera.text;

import java.util.Arrays;

/**
 * Token ids to text while they come: whole characters only. All pieces together are what {@link
 * Tokenizer#decode} gives for all ids. For one thread.
 */
public final class Detokenizer {
  private final Tokenizer tokenizer;
  private final boolean skipSpecialTokens;

  /** The start of a character whose other bytes have not come yet. */
  private byte[] incomplete = new byte[0];

  public Detokenizer(Tokenizer tokenizer, boolean skipSpecialTokens) {
    this.tokenizer = tokenizer;
    this.skipSpecialTokens = skipSpecialTokens;
  }

  /**
   * The text that this token completes; empty where it ends within a character.
   *
   * @throws org.tessera.error.InvalidRequestException where no token has this id
   */
  public String append(int id) {
    if (skipSpecialTokens && tokenizer.isSpecial(id)) {
      return "";
    }
    byte[] token = tokenizer.bytes(id);
    byte[] bytes = Arrays.copyOf(incomplete, incomplete.length + token.length);
    System.arraycopy(token, 0, bytes, incomplete.length, token.length);
    StringBuilder text = new StringBuilder();
    int consumed = Utf8.decode(bytes, bytes.length, false, text);
    incomplete = Arrays.copyOfRange(bytes, consumed, bytes.length);
    return text.toString();
  }

  /** The end of the text: U+FFFD where a character was left incomplete, else empty. */
  public String finish() {
    StringBuilder text = new StringBuilder();
    Utf8.decode(incomplete, incomplete.length, true, text);
    incomplete = new byte[0];
    return text.toString();
  }
}
