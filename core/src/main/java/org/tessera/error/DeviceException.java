package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A device or a backend that cannot run, or failed while running. */
public final class DeviceException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public DeviceException(String message) {
    super(message, null);
  }

  public DeviceException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
