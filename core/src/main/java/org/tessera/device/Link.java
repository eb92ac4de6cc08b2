package org.tessera.device;

/**
 * How a device exchanges data with the others of its machine.
 *
 * @param bytesPerSecond in one direction
 * @param latencySeconds from issuing a message of a few KB until the other side has it, with the
 *     synchronisation that this takes
 */
public record Link(double bytesPerSecond, double latencySeconds) {
  /** The rates and latencies that a plan can be made with; both end in arithmetic of doubles. */
  private static final double MAX_BYTES_PER_SECOND = 1e15;

  private static final double MAX_LATENCY_SECONDS = 1;

  /**
   * What is assumed where nothing is known: copies over PCIe 4 with 16 lanes at two thirds of its
   * 31.5 GB/s, and a collective of 20 µs, the upper end of the 18 to 20 µs that NCCL takes between
   * two H200s for a few KB.
   */
  public static final Link HOST = new Link(20e9, 20e-6);

  /**
   * What is assumed of GPUs that read and write each other's memory over a link of their own: a
   * little less than between two H100s with 18 links of NVLink each on 2026-11-27 (all-reduce of 7
   * KB 2.2 µs, of 58.7 MB 315 GB/s, copies 367 GB/s).
   */
  public static final Link DIRECT = new Link(300e9, 2.5e-6);

  public Link {
    if (!(bytesPerSecond > 0 && bytesPerSecond <= MAX_BYTES_PER_SECOND)) {
      throw new IllegalArgumentException("a link of %s bytes/s".formatted(bytesPerSecond));
    }
    if (!(latencySeconds >= 0 && latencySeconds <= MAX_LATENCY_SECONDS)) {
      throw new IllegalArgumentException("a link with %s s of latency".formatted(latencySeconds));
    }
  }

  /** Seconds that a message of {@code bytes} takes. */
  public double seconds(double bytes) {
    return latencySeconds + bytes / bytesPerSecond;
  }
}
