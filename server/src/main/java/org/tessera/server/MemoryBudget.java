package org.tessera.server;

/** Memory that all requests together may take for one purpose. Nobody waits for it. */
final class MemoryBudget {
  private final String purpose;
  private final long bytes;
  private long leased;

  /**
   * @param purpose as in "the memory for …"
   */
  MemoryBudget(String purpose, long bytes) {
    this.purpose = purpose;
    this.bytes = bytes;
  }

  /**
   * @throws ApiException 413 where so much is never there, 429 where it is not there now
   */
  synchronized Lease take(long wanted) {
    if (wanted > bytes) {
      throw ApiException.tooLarge(
          null, "the request needs more than the %d MB of memory for %s".formatted(mb(), purpose));
    }
    if (wanted > bytes - leased) {
      throw ApiException.overloaded(
          "the %d MB of memory for %s are in use by other requests; try again"
              .formatted(mb(), purpose));
    }
    leased += wanted;
    return new Lease(wanted);
  }

  synchronized long leasedBytes() {
    return leased;
  }

  private long mb() {
    return bytes >> 20;
  }

  private synchronized void giveBack(long bytes) {
    leased -= bytes;
  }

  /** A part of the budget, given back once. */
  final class Lease implements AutoCloseable {
    private long held;

    private Lease(long held) {
      this.held = held;
    }

    @Override
    public synchronized void close() {
      giveBack(held);
      held = 0;
    }
  }
}
