package org.tessera.api;

import java.util.Locale;

/** Why an answer ended. */
public enum FinishReason {
  /** The model ended it, or a stop string did. */
  STOP,
  /** {@code max_new_tokens} or the context was reached. */
  LENGTH,
  /** The caller cancelled it. */
  CANCELLED;

  /** As JSON writes it. */
  public String lowerCase() {
    return name().toLowerCase(Locale.ROOT);
  }
}
