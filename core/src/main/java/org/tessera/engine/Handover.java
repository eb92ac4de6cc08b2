package org.tessera.engine;

import java.util.Objects;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.error.GenerationException;
import org.tessera.tensor.Tensor;

/**
 * Where the hidden states of one rank pass to one rank of the next stage, a micro-batch at a time.
 * The rank that gives waits until the other has issued the copy, so that neither device is called
 * from two threads and the copy waits for nothing that was issued later.
 *
 * <p>Both ends may be one device, whose thread then gives first and takes afterwards.
 */
final class Handover {
  private final Device from;
  private final Device to;
  private final boolean isLocal;
  private @Nullable Tensor offered;
  private @Nullable Throwable failure;

  Handover(Device from, Device to) {
    this.from = from;
    this.to = to;
    isLocal = from.equals(to);
  }

  /**
   * Hands in hidden states and, where they go to another device, waits until they are taken.
   *
   * @param hidden not to be written until the device that takes them was waited for
   */
  synchronized void give(Tensor hidden) {
    throwIfAborted();
    offered = hidden;
    notifyAll();
    awaitWhile(() -> offered != null && !isLocal);
  }

  /** Waits for hidden states and copies them to {@code target}. */
  synchronized void take(Tensor target) {
    throwIfAborted();
    awaitWhile(() -> offered == null);
    Tensor hidden = Objects.requireNonNull(offered);
    if (isLocal) {
      to.ops().copy(hidden, target);
    } else {
      to.receive(from, hidden, target);
    }
    offered = null;
    notifyAll();
  }

  /** Releases who waits, now and until {@link #recover}. */
  synchronized void abort(Throwable cause) {
    failure = cause;
    notifyAll();
  }

  /** To be called when neither rank runs any more: makes this usable again. */
  synchronized void recover() {
    failure = null;
    offered = null;
  }

  /** To be called by who holds the lock. */
  private synchronized void awaitWhile(BooleanSupplier condition) {
    try {
      while (condition.getAsBoolean()) {
        wait();
        throwIfAborted();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new GenerationException("a stage was interrupted while it waited for another", e);
    }
  }

  private void throwIfAborted() {
    if (failure != null) {
      throw new GenerationException("another stage failed", failure);
    }
  }
}
