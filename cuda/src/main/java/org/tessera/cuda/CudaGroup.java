package org.tessera.cuda;

import static org.tessera.cuda.Operands.require;
import static org.tessera.cuda.Operands.shape;

import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.error.GenerationException;
import org.tessera.ops.Ops;
import org.tessera.parallel.Collective;
import org.tessera.parallel.RankGroup;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Ranks on GPUs, each a thread of this process. Collectives are issued to the devices' streams and
 * can be captured in graphs.
 *
 * <p>A collective waits on its device for those of the other ranks. A driver's call that waits for
 * a device, as allocating and loading may, could then wait for a launch that itself waits for that
 * call. So the ranks' threads meet before and after each collective that is not captured: at no
 * time has one rank issued a collective while another does anything but issue the same. For the
 * same reason everything that the collectives need is there when the group is made.
 */
final class CudaGroup implements RankGroup {
  private final List<CudaDevice> devices;
  private final Rendezvous rendezvous;
  private final Transport transport;
  private boolean closed;

  /**
   * @param devices in rank order, in no other group
   */
  CudaGroup(List<CudaDevice> devices, Function<List<CudaDevice>, Transport> way) {
    this.devices = List.copyOf(devices);
    rendezvous = new Rendezvous(devices.size());
    boolean done = false;
    try {
      for (int rank = 0; rank < devices.size(); rank++) {
        devices.get(rank).join(new RankPeers(rank));
      }
      transport = way.apply(this.devices);
      done = true;
    } finally {
      if (!done) {
        leave();
      }
    }
  }

  /** How the ranks exchange. */
  Transport transport() {
    return transport;
  }

  @Override
  public int size() {
    return devices.size();
  }

  @Override
  public Collective member(int rank, Device device) {
    if (devices.get(rank) != device) {
      throw new IllegalArgumentException(
          "rank %d is %s, not %s".formatted(rank, devices.get(rank).info(), device.info()));
    }
    return new Member(rank);
  }

  @Override
  public void abort(Throwable cause) {
    rendezvous.fail(cause);
    transport.abort();
  }

  /** {@inheritDoc} Where a device is lost the group stays aborted, and says so when it is used. */
  @Override
  public RuntimeException recover() {
    Throwable cause = rendezvous.failure();
    RuntimeException thrown =
        cause instanceof RuntimeException runtime
            ? runtime
            : new GenerationException("a rank failed", cause);
    try {
      for (CudaDevice device : devices) {
        device.stream().synchronize();
      }
      for (CudaDevice device : devices) {
        // A rank may have recorded what another one, which failed, has not.
        device.forgetAll();
      }
      transport.reset();
      rendezvous.reset();
    } catch (RuntimeException e) {
      rendezvous.fail(e);
      thrown.addSuppressed(e);
    }
    return thrown;
  }

  /** {@inheritDoc} Before its devices are closed, when no rank runs any more. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    leave();
    try {
      devices.forEach(device -> device.stream().synchronize());
    } finally {
      transport.close();
    }
  }

  private void leave() {
    devices.forEach(device -> device.join(null));
  }

  private void meet() {
    try {
      rendezvous.meet();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      abort(e);
      rendezvous.check();
    }
  }

  private void issue(int rank, Runnable launch) {
    if (devices.get(rank).stream().isCapturing()) {
      rendezvous.check();
      launch.run(); // nothing runs before the whole graph is launched, for which ranks meet
      return;
    }
    meet();
    launch.run();
    meet();
  }

  private final class RankPeers implements CudaDevice.Peers {
    private final int rank;

    RankPeers(int rank) {
      this.rank = rank;
    }

    @Override
    public void meet() {
      CudaGroup.this.meet();
    }

    @Override
    public void check() {
      rendezvous.check();
      transport.check(rank);
    }
  }

  private final class Member implements Collective {
    private final int rank;

    Member(int rank) {
      this.rank = rank;
    }

    @Override
    public int rank() {
      return rank;
    }

    @Override
    public int size() {
      return devices.size();
    }

    @Override
    public void allReduceSum(Tensor inOut) {
      reduce(inOut, null, null);
    }

    @Override
    public void allReduceAdd(Tensor partial, Tensor inOut, Ops ops) {
      reduce(partial, inOut, ops);
    }

    private void reduce(Tensor partial, @Nullable Tensor inOut, @Nullable Ops ops) {
      DType type = devices.get(rank).activationType();
      for (Tensor tensor : inOut == null ? List.of(partial) : List.of(partial, inOut)) {
        shape("a tensor to sum", tensor, type, partial.rows(), partial.columns());
        require(tensor.isContiguous(), "a tensor to sum has gaps between its rows");
      }
      if (partial.byteSize() > 0) {
        issue(rank, () -> transport.allReduce(rank, partial, inOut, ops));
      }
    }

    @Override
    public void allGatherColumns(Tensor local, Tensor out) {
      shape("out", out, local.dtype(), local.rows(), size() * local.columns());
      if (local.byteSize() > 0) {
        issue(rank, () -> transport.allGatherColumns(rank, local, out));
      }
    }
  }
}
