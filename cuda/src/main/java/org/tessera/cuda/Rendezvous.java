package org.tessera.cuda;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.tessera.error.GenerationException;

/**
 * Where the threads of all ranks wait for each other, until one fails. They are close to each other
 * mostly and spin at first: a collective costs them about a microsecond so.
 */
final class Rendezvous {
  private static final long SPIN_NANOS = 50_000;
  private static final long PARK_NANOS = 20_000;

  private final int size;
  private final AtomicInteger arrived = new AtomicInteger();
  private volatile long round;
  private volatile @Nullable Throwable failure;

  Rendezvous(int size) {
    this.size = size;
  }

  /**
   * Returns when all ranks have come here.
   *
   * @throws GenerationException where a rank failed, now or before
   * @throws InterruptedException where this thread was interrupted, whose flag is cleared
   */
  void meet() throws InterruptedException {
    check();
    long mine = round;
    if (arrived.incrementAndGet() == size) {
      arrived.set(0);
      round = mine + 1;
      return;
    }
    long start = System.nanoTime();
    while (round == mine) {
      check();
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (System.nanoTime() - start < SPIN_NANOS) {
        Thread.onSpinWait();
      } else {
        LockSupport.parkNanos(PARK_NANOS);
      }
    }
  }

  /**
   * @throws GenerationException where a rank failed
   */
  void check() {
    Throwable cause = failure;
    if (cause != null) {
      throw new GenerationException("another rank failed", cause);
    }
  }

  /** Releases all that wait; the first cause is kept. */
  synchronized void fail(Throwable cause) {
    if (failure == null) {
      failure = cause;
    }
  }

  /** The first cause, if a rank failed. */
  @Nullable Throwable failure() {
    return failure;
  }

  /** Starts anew; no rank may be waiting. */
  synchronized void reset() {
    arrived.set(0);
    failure = null;
  }
}
