package org.tessera.error;

import org.jspecify.annotations.Nullable;

/**
 * A device or a backend that cannot run, or failed while running. Open, so that a backend can say
 * which call failed and how.
 */
public non-sealed class DeviceException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public DeviceException(String message) {
    super(message, null);
  }

  public DeviceException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }

  /** Whether memory did not suffice, so that less work might have succeeded. */
  public boolean isOutOfMemory() {
    return false;
  }
}
