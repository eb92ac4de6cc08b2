package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Strings of C. */
final class CStrings {
  /** Longer than any name or description that these libraries return. */
  private static final long MAX_BYTES = 4096;

  private CStrings() {}

  /** The string that a {@code char*} in {@code variable} points to. */
  static String pointedToBy(MemorySegment variable) {
    return at(variable.get(ADDRESS, 0));
  }

  /** A string that a library owns. */
  static String at(MemorySegment pointer) {
    return pointer.address() == 0 ? "" : pointer.reinterpret(MAX_BYTES).getString(0);
  }

  /** A {@code char**}. */
  static MemorySegment array(List<String> strings, Arena arena) {
    MemorySegment array = arena.allocate(ADDRESS, Math.max(1, strings.size()));
    for (int i = 0; i < strings.size(); i++) {
      array.setAtIndex(ADDRESS, i, arena.allocateFrom(strings.get(i)));
    }
    return array;
  }
}
