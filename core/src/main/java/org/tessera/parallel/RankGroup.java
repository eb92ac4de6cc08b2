package org.tessera.parallel;

import org.tessera.device.Device;

/**
 * The ranks among which a model is cut: hands each its {@link Collective} and ends them together.
 */
public interface RankGroup extends AutoCloseable {
  /** Number of ranks. */
  int size();

  /** The collective of one rank, to be used by that rank's thread. */
  Collective member(int rank, Device device);

  /** Releases all ranks that wait, now and until {@link #recover}; the first cause is kept. */
  void abort(Throwable cause);

  /**
   * To be called when no rank runs any more: makes the group usable again.
   *
   * @return the first cause, as the exception to throw
   */
  RuntimeException recover();

  @Override
  default void close() {}
}
