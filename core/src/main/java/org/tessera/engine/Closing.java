package org.tessera.engine;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Closes several things although one of them fails. */
public final class Closing {
  private Closing() {}

  /**
   * Runs all in order. The first failure is thrown at the end, with the later ones as suppressed
   * ones.
   */
  public static void all(List<? extends Runnable> closers) {
    Throwable first = null;
    for (Runnable closer : closers) {
      try {
        closer.run();
      } catch (RuntimeException | Error e) {
        first = with(first, e);
      }
    }
    switch (first) {
      case null -> {}
      case Error e -> throw e;
      case RuntimeException e -> throw e;
      default -> throw new AssertionError(first);
    }
  }

  private static Throwable with(@Nullable Throwable first, Throwable next) {
    if (first == null) {
      return next;
    }
    if (!first.equals(next)) {
      first.addSuppressed(next);
    }
    return first;
  }
}
