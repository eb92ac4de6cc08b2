package org.tessera.cuda;

import org.jspecify.annotations.Nullable;
import org.tessera.ops.Ops;
import org.tessera.tensor.Tensor;

/** A way by which GPUs exchange. What is issued goes to the stream of the rank's device. */
sealed interface Transport permits PeerTransport, NcclTransport {
  /** For a report: {@code kernels over peer memory}. */
  String description();

  /**
   * Issues {@code inOut += Σ partial}, or where {@code inOut} is null {@code partial = Σ partial};
   * contiguous tensors of the activation type.
   *
   * @param ops of the rank; null only where {@code inOut} is
   */
  void allReduce(int rank, Tensor partial, @Nullable Tensor inOut, @Nullable Ops ops);

  /** Issues putting the ranks' columns side by side into {@code out}, of one type with local. */
  void allGatherColumns(int rank, Tensor local, Tensor out);

  /** Throws where what a rank issued, and the host has waited for since, gave up. */
  void check(int rank);

  /** Lets everything that waits on a device end; from any thread. */
  void abort();

  /** Brings the ranks in step again after {@link #abort}, when no thread issues anything. */
  void reset();

  /** Frees what was made for the group, when all that was issued is done. */
  void close();
}
