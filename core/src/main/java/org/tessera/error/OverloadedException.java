package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A request that finds the queue full. It is right as it is, and can be made again later. */
public final class OverloadedException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public OverloadedException(String message) {
    super(message, null);
  }

  public OverloadedException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
