package org.tessera.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * Memory of this process that is not the system's to take back: pages of mapped files, such as
 * weights, are left out.
 */
final class ResidentMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ResidentMemory() {}

  /** Bytes, where the system tells. */
  static OptionalLong bytes() {
    List<String> lines;
    try {
      lines = Files.readAllLines(STATUS);
    } catch (IOException _) {
      return OptionalLong.empty();
    }
    return lines.stream()
        .filter(line -> line.startsWith("RssAnon") || line.startsWith("RssShmem"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
        .reduce(Long::sum);
  }
}
