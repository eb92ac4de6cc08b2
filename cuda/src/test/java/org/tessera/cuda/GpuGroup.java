package org.tessera.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.opentest4j.TestAbortedException;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.cuda.ffm.Nccl;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Backend.Availability.Unavailable;
import org.tessera.device.DeviceInfo;
import org.tessera.parallel.Collective;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Ranks on the GPUs of this machine, a thread each; where a test hangs they are released. */
final class GpuGroup implements AutoCloseable {
  private static final int STUCK_SECONDS = 60;

  final List<CudaDevice> devices;
  final List<DeviceRegion> regions = new ArrayList<>();
  final CudaGroup group;
  private final ExecutorService threads = Executors.newCachedThreadPool();

  /** How many ranks exchange how. */
  enum Setting {
    TWO_CARDS_KERNELS(2, true, false),
    FOUR_CARDS_KERNELS(4, true, false),
    TWO_CARDS_NCCL(2, true, true),
    /** Both ranks on one card: not a group that is ever connected, but the same kernels. */
    ONE_CARD_KERNELS(2, false, false);

    final int ranks;
    final boolean differentCards;
    final boolean nccl;

    Setting(int ranks, boolean differentCards, boolean nccl) {
      this.ranks = ranks;
      this.differentCards = differentCards;
      this.nccl = nccl;
    }
  }

  /** Opens so many cards, or skips the test with the reason. */
  static List<CudaDevice> open(int count, boolean differentCards, DType type) {
    CudaBackend backend =
        new CudaBackend(LibrarySearch.ofSystem(), KernelCache.ofUser(), type, CudaOps::new);
    List<DeviceInfo> found =
        switch (backend.probe()) {
          case Unavailable(String reason, String remedy) ->
              throw new TestAbortedException(
                  "there is no GPU to test on: " + reason + "; " + remedy);
          case Available available -> available.devices();
        };
    if (differentCards && found.size() < count) {
      throw new TestAbortedException(
          "%d GPUs are needed, %d are there".formatted(count, found.size()));
    }
    List<CudaDevice> opened = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      opened.add((CudaDevice) backend.open(found.get(differentCards ? i : 0)));
    }
    return opened;
  }

  GpuGroup(Setting setting, DType type) {
    devices = open(setting.ranks, setting.differentCards, type);
    boolean done = false;
    try {
      group = new CudaGroup(devices, way(setting));
      devices.forEach(device -> regions.add(new DeviceRegion(device.context())));
      done = true;
    } finally {
      if (!done) {
        devices.forEach(CudaDevice::close);
      }
    }
  }

  private Function<List<CudaDevice>, Transport> way(Setting setting) {
    if (setting.nccl) {
      LibrarySearch search = LibrarySearch.ofSystem();
      Nccl nccl =
          Nccl.find(search).orElseThrow(() -> new TestAbortedException(Nccl.describe(search)));
      return members -> new NcclTransport(nccl, members);
    }
    for (CudaDevice a : devices) {
      for (CudaDevice b : devices) {
        if (a != b && !a.context().reaches(b.context())) {
          throw new TestAbortedException(
              a.context().id() + " does not see the memory of " + b.context().id());
        }
      }
    }
    return PeerTransport::new;
  }

  int size() {
    return devices.size();
  }

  Collective member(int rank) {
    return group.member(rank, devices.get(rank));
  }

  Tensor tensor(int rank, DType type, int rows, int columns) {
    return regions.get(rank).allocate(type, rows, columns);
  }

  /** Frees what {@link #tensor} gave. */
  void free() {
    regions.replaceAll(region -> {
      region.close();
      return new DeviceRegion(region.context());
    });
  }

  interface RankWork {
    void on(int rank) throws Exception;
  }

  /**
   * Runs every rank on a thread of its own. Where one fails the others are released and the group
   * recovers; the first cause is thrown.
   */
  void run(RankWork work) {
    List<Future<?>> results = new ArrayList<>();
    for (int i = 0; i < size(); i++) {
      int rank = i;
      results.add(
          threads.submit(() -> {
            try {
              work.on(rank);
            } catch (Exception | Error e) {
              group.abort(e);
              throw e;
            }
            return null;
          }));
    }
    boolean failed = false;
    for (Future<?> result : results) {
      try {
        result.get(STUCK_SECONDS, TimeUnit.SECONDS);
      } catch (TimeoutException e) {
        group.abort(new AssertionError("ranks are stuck"));
        failed = true;
      } catch (ExecutionException e) {
        failed = true;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        group.abort(e);
        failed = true;
      }
    }
    if (failed) {
      throw group.recover();
    }
  }

  @Override
  public void close() {
    threads.shutdown();
    try {
      regions.forEach(DeviceRegion::close);
      group.close();
    } finally {
      devices.forEach(CudaDevice::close);
    }
  }
}
