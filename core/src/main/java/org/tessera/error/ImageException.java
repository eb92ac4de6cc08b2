package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A picture or video that cannot be read or is over a limit. */
public final class ImageException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public ImageException(String message) {
    super(message, null);
  }

  public ImageException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
