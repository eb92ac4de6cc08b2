package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A request whose messages or options are wrong, or whose prompt is too long. */
public final class InvalidRequestException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public InvalidRequestException(String message) {
    super(message, null);
  }

  public InvalidRequestException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
