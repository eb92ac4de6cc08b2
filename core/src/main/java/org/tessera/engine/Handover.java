package org.tessera.engine;

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
  private @Nullable Tensor offered;
  private @Nullable Throwable failure;

  Handover(Device from, Device to) {
    this.from = from;
    this.to = to;
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
    while (offered != null && from != to) {
      await();
    }
  }

  /** Waits for hidden states and copies them to {@code target}. */
  synchronized void take(Tensor target) {
    throwIfAborted();
    while (offered == null) {
      await();
    }
    if (from == to) {
      to.ops().copy(offered, target);
    } else {
      to.receive(from, offered, target);
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

  private void await() {
    try {
      wait();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new GenerationException("a stage was interrupted while it waited for another", e);
    }
    throwIfAborted();
  }

  private void throwIfAborted() {
    if (failure != null) {
      throw new GenerationException("another stage failed", failure);
    }
  }
}
