package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A generation that could not be finished: the engine is closed or a step failed. */
public final class GenerationException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public GenerationException(String message) {
    super(message, null);
  }

  public GenerationException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
