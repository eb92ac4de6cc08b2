package org.tessera.error;

import org.jspecify.annotations.Nullable;

/** A device map or memory budget that cannot be satisfied. */
public final class PlanException extends TesseraException {
  private static final long serialVersionUID = 1L;

  public PlanException(String message) {
    super(message, null);
  }

  public PlanException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
