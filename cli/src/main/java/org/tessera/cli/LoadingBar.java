package org.tessera.cli;

import java.util.function.LongSupplier;
import org.tessera.plan.ByteSize;
import org.tessera.weights.LoadProgress;

/**
 * A bar that shows how far loading has come, once it has taken over a second and somebody watches.
 */
final class LoadingBar implements LoadProgress, AutoCloseable {
  private static final long DELAY_NANOS = 1_000_000_000;
  private static final long INTERVAL_NANOS = 100_000_000;
  private static final int WIDTH = 30;

  private final Output output;
  private final LongSupplier nanoTime;
  private final long start;
  private long drawnAt;
  private boolean visible;

  LoadingBar(Output output) {
    this(output, System::nanoTime);
  }

  LoadingBar(Output output, LongSupplier nanoTime) {
    this.output = output;
    this.nanoTime = nanoTime;
    this.start = nanoTime.getAsLong();
    this.drawnAt = start;
  }

  @Override
  public synchronized void fetched(long doneBytes, long totalBytes) {
    long now = nanoTime.getAsLong();
    if (!output.showProgress()
        || totalBytes <= 0
        || now - start < DELAY_NANOS
        || now - drawnAt < INTERVAL_NANOS) {
      return;
    }
    drawnAt = now;
    visible = true;
    int filled = (int) (Math.min(doneBytes, totalBytes) * (double) WIDTH / totalBytes);
    output
        .err()
        .printf(
            "\rloading [%s%s] %s of %s",
            "#".repeat(filled),
            ".".repeat(WIDTH - filled),
            ByteSize.format(doneBytes),
            ByteSize.format(totalBytes));
    output.err().flush();
  }

  /** Takes the bar away. */
  @Override
  public synchronized void close() {
    if (visible) {
      output.err().print("\r" + " ".repeat(WIDTH + 40) + "\r");
      output.err().flush();
      visible = false;
    }
  }
}
