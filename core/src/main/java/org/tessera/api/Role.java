package org.tessera.api;

import java.util.Locale;

/** Who speaks in a message. */
public enum Role {
  SYSTEM,
  USER,
  ASSISTANT,
  /** The result of a function that the assistant called. */
  TOOL;

  /** As chat templates and JSON write it. */
  public String lowerCase() {
    return name().toLowerCase(Locale.ROOT);
  }
}
