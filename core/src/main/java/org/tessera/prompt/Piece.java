package org.tessera.prompt;

/** A part of a prompt before it is tokens. */
sealed interface Piece {
  /** A control token, which only the template emits. */
  enum Control implements Piece {
    MESSAGE_START("<|im_start|>"),
    MESSAGE_END("<|im_end|>");

    private final String token;

    Control(String token) {
      this.token = token;
    }

    String token() {
      return token;
    }
  }

  /** Text, the template's own or a user's: nothing in it is a control token. */
  record Text(String text) implements Piece {}

  /** The place of a picture, counted from 0 over the whole prompt. */
  record Picture(int imageIndex) implements Piece {}
}
