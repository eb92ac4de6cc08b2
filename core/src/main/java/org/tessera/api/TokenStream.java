package org.tessera.api;

import java.util.Iterator;

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

  /** Waits for the end of the answer and returns it whole. */
  ChatResponse response();

  /** Ends the answer after the token in work; a finished one stays as it is. */
  void cancel();

  @Override
  void close();
}
