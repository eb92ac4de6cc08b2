package org.tessera.cuda.ffm;

import java.util.List;
import java.util.stream.Stream;

/** Versioned names of the toolkit's libraries. */
final class Sonames {
  /** CUDA's major versions whose interfaces are bound here, newest first. */
  private static final List<Integer> MAJORS = List.of(13, 12);

  private Sonames() {}

  /** Newest first. A driver runs what was made by its own or an older major version. */
  static List<String> upTo(String stem, int driverMajor) {
    Stream<Integer> majors = MAJORS.stream().filter(major -> major <= driverMajor);
    return majors.map(major -> stem + major).toList();
  }
}
