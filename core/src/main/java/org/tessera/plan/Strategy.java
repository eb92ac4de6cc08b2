package org.tessera.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** Ways to fill devices that Transformers knows by name. */
public enum Strategy {
  /** Tessera's own plan; in accelerate's terms the same as balanced. */
  AUTO,
  /** GPUs get about the same. */
  BALANCED,
  /** GPUs get about the same, and GPU 0 only what the others cannot hold. */
  BALANCED_LOW_0,
  /** GPUs are filled one after the other. */
  SEQUENTIAL;

  /** As users write it: {@code balanced_low_0}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Optional<Strategy> named(String text) {
    return Arrays.stream(values()).filter(strategy -> strategy.label().equals(text)).findFirst();
  }
}
