package org.tessera.api;

import java.util.Iterator;
import java.util.List;

/**
 * An answer while it is made: iterate over its pieces of text, each whole characters, then ask for
 * the {@link #response}. One thread reads; any thread may cancel. Closing cancels what is not
 * finished.
 */
public interface TokenStream extends Iterable<String>, AutoCloseable {
  /**
   * The pieces, once. {@code hasNext} waits for the next one.
   *
   * @throws org.tessera.error.TesseraException from {@code hasNext} where the generation failed
   */
  @Override
  Iterator<String> iterator();

  /**
   * The pieces with the tokens that they were made of, in place of {@link #iterator}.
   *
   * @throws org.tessera.error.TesseraException from {@code hasNext} where the generation failed
   */
  Iterator<Delta> deltas();

  /**
   * A piece of an answer.
   *
   * @param text whole characters; empty only where tokens were left that show none
   * @param logprobs of the tokens since the last piece, those that end the answer left out; empty
   *     where none were asked for
   */
  record Delta(String text, List<TokenLogprob> logprobs) {
    public Delta {
      logprobs = List.copyOf(logprobs);
    }
  }

  /** Waits for the end of the answer and returns it whole. */
  ChatResponse response();

  /** Ends the answer after the token in work; a finished one stays as it is. */
  void cancel();

  @Override
  void close();
}
