package org.tessera.cli;

import org.tessera.api.ChatResponse;
import org.tessera.api.TokenStream;

/** Prints an answer as it comes. */
final class AnswerPrinter {
  private AnswerPrinter() {}

  /** Prints the pieces of {@code stream}, closes it, and notes how long it took. */
  static ChatResponse print(Output output, TokenStream stream) {
    try (stream) {
      for (String piece : stream) {
        if (!output.stream(piece)) {
          // The reader of our output has gone.
          stream.cancel();
        }
      }
      ChatResponse response = stream.response();
      output.stream(System.lineSeparator());
      output.note(TimingsLine.of(response));
      return response;
    }
  }
}
