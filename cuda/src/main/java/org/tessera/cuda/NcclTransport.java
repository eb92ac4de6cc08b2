package org.tessera.cuda;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.Nccl;
import org.tessera.error.GenerationException;
import org.tessera.ops.Ops;
import org.tessera.tensor.Tensor;

/** NCCL, for GPUs that do not see each other's memory. */
final class NcclTransport implements Transport {
  /** How long a call that is under way may take before it is aborted from outside. */
  private static final long ABORT_WAIT_MILLISECONDS = 500;

  private final Nccl nccl;
  private final List<CudaDevice> devices;
  private final List<ReentrantLock> locks;

  /** 0 where a communicator was aborted; each guarded by its lock. */
  private long[] communicators;

  /**
   * @param devices in rank order, each once
   */
  NcclTransport(Nccl nccl, List<CudaDevice> devices) {
    this.nccl = nccl;
    this.devices = devices;
    locks = devices.stream().map(device -> new ReentrantLock()).toList();
    communicators = create();
  }

  private long[] create() {
    return nccl.createCommunicators(
        devices.stream().mapToInt(device -> device.context().ordinal()).toArray());
  }

  @Override
  public String description() {
    return "NCCL " + nccl.version();
  }

  @Override
  public void allReduce(int rank, Tensor partial, @Nullable Tensor inOut, @Nullable Ops ops) {
    long elements = (long) partial.rows() * partial.columns();
    issue(
        rank,
        (communicator, stream) ->
            nccl.allReduceSum(
                partial.memory().address(), elements, type(partial), communicator, stream));
    if (inOut != null) {
      Objects.requireNonNull(ops).add(partial, inOut);
    }
  }

  /** {@inheritDoc} Row by row, as NCCL puts what it gathers one after the other. */
  @Override
  public void allGatherColumns(int rank, Tensor local, Tensor out) {
    issue(
        rank,
        (communicator, stream) ->
            nccl.grouped(() -> {
              for (int row = 0; row < local.rows(); row++) {
                nccl.allGather(
                    local.rows(row, row + 1).memory().address(),
                    out.rows(row, row + 1).memory().address(),
                    local.columns(),
                    type(local),
                    communicator,
                    stream);
              }
            }));
  }

  private interface Call {
    void on(long communicator, long stream);
  }

  private void issue(int rank, Call call) {
    CudaDevice device = devices.get(rank);
    ReentrantLock lock = locks.get(rank);
    lock.lock();
    try {
      long communicator = communicators[rank];
      if (communicator == 0) {
        throw new GenerationException("a collective was given up, as another rank failed");
      }
      device.context().makeCurrent();
      call.on(communicator, device.stream().handle());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void check(int rank) {
    issue(rank, (communicator, stream) -> nccl.checkAsync(communicator));
  }

  /**
   * {@inheritDoc} An aborted communicator is freed, so that none may be in use; but a rank that
   * waits inside NCCL leaves it only when it is aborted.
   */
  @Override
  public void abort() {
    for (int rank = 0; rank < devices.size(); rank++) {
      ReentrantLock lock = locks.get(rank);
      boolean locked = tryLock(lock);
      try {
        long communicator = communicators[rank];
        communicators[rank] = 0;
        if (communicator != 0) {
          devices.get(rank).context().makeCurrent();
          nccl.abort(communicator);
        }
      } catch (CudaException _) {
        // The cause of the abort is what the user must hear of; reset says what cannot go on.
      } finally {
        if (locked) {
          lock.unlock();
        }
      }
    }
  }

  private static boolean tryLock(ReentrantLock lock) {
    try {
      return lock.tryLock(ABORT_WAIT_MILLISECONDS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      return lock.tryLock();
    }
  }

  /** {@inheritDoc} By new communicators. */
  @Override
  public void reset() {
    abort(); // those that a failure without an abort has left
    communicators = create();
  }

  @Override
  public void close() {
    IntStream.range(0, devices.size())
        .filter(rank -> communicators[rank] != 0)
        .forEach(rank -> {
          devices.get(rank).context().makeCurrent();
          nccl.destroy(communicators[rank]);
          communicators[rank] = 0;
        });
  }

  private static Nccl.Type type(Tensor tensor) {
    return switch (tensor.dtype()) {
      case F32 -> Nccl.Type.FLOAT32;
      case F16 -> Nccl.Type.FLOAT16;
      case BF16 -> Nccl.Type.BFLOAT16;
      case I32 -> Nccl.Type.INT32;
    };
  }
}
