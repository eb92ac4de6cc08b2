package org.tessera.cpu;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalLong;

/**
 * Memory of the host as this process may use it: the JDK's figure of the total honours a
 * container's limit; its figure of free memory counts pages that only cache files as taken, though
 * mapped weights are just that, so Linux is asked itself.
 */
final class HostMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");
  private static final Path CGROUP = Path.of("/sys/fs/cgroup");

  private HostMemory() {}

  static long totalBytes() {
    return bean().getTotalMemorySize();
  }

  static long freeBytes() {
    OptionalLong available = field(MEMINFO, "MemAvailable:");
    long free = available.isPresent() ? available.getAsLong() * 1024 : bean().getFreeMemorySize();
    OptionalLong limit = field(CGROUP.resolve("memory.max"), "");
    OptionalLong used = field(CGROUP.resolve("memory.current"), "");
    if (limit.isPresent() && used.isPresent()) {
      Path stat = CGROUP.resolve("memory.stat");
      long cache = field(stat, "file ").orElse(0);
      free = Math.min(free, limit.getAsLong() - used.getAsLong() + cache);
    }
    return Math.max(0, Math.min(free, totalBytes()));
  }

  private static OperatingSystemMXBean bean() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
  }

  /** The number that follows {@code key} at the start of a line; empty where there is none. */
  private static OptionalLong field(Path file, String key) {
    if (!Files.isReadable(file)) {
      return OptionalLong.empty();
    }
    try {
      return Files.readAllLines(file).stream()
          .filter(line -> line.startsWith(key))
          .flatMap(line -> Arrays.stream(line.substring(key.length()).strip().split(" ")).limit(1))
          .filter(word -> word.matches("\\d{1,18}"))
          .mapToLong(Long::parseLong)
          .findFirst();
    } catch (IOException e) {
      return OptionalLong.empty(); // as on a system that has no such file
    }
  }
}
