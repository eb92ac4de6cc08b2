package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.UnixOperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import org.tessera.engine.EngineStats;

/**
 * What a server at rest holds.
 *
 * @param heapBytes after a collection
 * @param residentBytes of the process
 * @param files open descriptors
 */
record Footprint(
    int generations,
    int usedKvBlocks,
    long heapBytes,
    long residentBytes,
    long files,
    int threads) {
  private static final long MB = 1 << 20;

  /** Waits until nothing runs any more. */
  static Footprint measure(TestServer server) throws InterruptedException, IOException {
    long end = System.nanoTime() + 20_000_000_000L;
    EngineStats stats = server.tessera().stats();
    while (stats.running() + stats.waiting() > 0 && System.nanoTime() < end) {
      Thread.sleep(20);
      stats = server.tessera().stats();
    }
    long heap = Long.MAX_VALUE;
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(100); // cleaners and connections that are about to end
      heap = Math.min(heap, ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
    }
    return new Footprint(
        stats.running() + stats.waiting(),
        stats.usedKvBlocks(),
        heap,
        readResidentBytes(),
        ((UnixOperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getOpenFileDescriptorCount(),
        ManagementFactory.getThreadMXBean().getThreadCount());
  }

  private static long readResidentBytes() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.isReadable(status)) {
      return 0;
    }
    return Files.readAllLines(status).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) << 10)
        .sum();
  }

  /** Nothing runs, nothing is leased, and the heap is where it was, give or take caches. */
  void assertNear(Footprint before) {
    assertThat(generations).isZero();
    assertThat(usedKvBlocks).isZero();
    assertThat(heapBytes - before.heapBytes).isLessThan(16 * MB);
    assertThat(files - before.files).isLessThan(20);
    assertThat(threads - before.threads).isLessThan(20);
  }

  @Override
  public String toString() {
    return "%d generations, %d blocks, heap %.1f MB, resident %.1f MB, %d files, %d threads"
        .formatted(
            generations,
            usedKvBlocks,
            heapBytes / (double) MB,
            residentBytes / (double) MB,
            files,
            threads);
  }
}
