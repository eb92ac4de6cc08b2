package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A checkpoint that cannot be used: names the file, the key and what was expected. */
public final class CheckpointException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public CheckpointException(String message) {
    super(message, null);
  }

  public CheckpointException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
