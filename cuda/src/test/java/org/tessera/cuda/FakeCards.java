package org.tessera.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Several GPUs made of libraries that stand for CUDA's, and what runs ranks on them. */
@Timeout(60)
abstract class FakeCards {
  /** PEER_PARAMETERS of peers.cuh: mailboxes, own, abort, status, rank, size. */
  static final int[] PEER = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 4};

  static final int ABORT = 9;
  static final int STATUS = 10;

  /** The bytes of the parameters of every kernel of allreduce.cu. */
  static final Map<String, int[]> KERNELS =
      Map.of(
          "all_reduce_one_shot_2", with(8, 8, 4, 4, 4),
          "all_reduce_one_shot_4", with(8, 8, 4, 4, 4),
          "all_reduce_one_shot_8", with(8, 8, 4, 4, 4),
          "all_reduce_two_shot_2", with(8, 8, 4, 4),
          "all_reduce_two_shot_4", with(8, 8, 4, 4),
          "all_reduce_two_shot_8", with(8, 8, 4, 4),
          "all_gather_columns_32", with(8, 4, 8, 4, 4, 4),
          "all_gather_columns_16", with(8, 4, 8, 4, 4, 4));

  @TempDir Path folder;
  FakeCuda fake;
  CudaBackend backend;
  CudaGroups groups;
  final List<String> operations = new ArrayList<>();
  final List<CudaDevice> devices = new ArrayList<>();
  final List<DeviceMemory> regions = new ArrayList<>();
  final ExecutorService threads = Executors.newCachedThreadPool();

  private static int[] with(int... last) {
    int[] all = new int[PEER.length + last.length];
    System.arraycopy(PEER, 0, all, 0, PEER.length);
    System.arraycopy(last, 0, all, PEER.length, last.length);
    return all;
  }

  @BeforeEach
  void compileFakes() throws Exception {
    assumeTrue(
        new LibrarySearch(List.of()).load(List.of("libnccl.so.2")).isEmpty(),
        "libnccl.so.2 is installed here");
    fake = new FakeCuda(folder);
    backend =
        new CudaBackend(
            fake.search, new KernelCache(folder.resolve("cache")), DType.BF16, device -> ops());
    groups = new CudaGroups(fake.search);
  }

  @AfterEach
  void close() {
    threads.shutdownNow();
    regions.forEach(DeviceMemory::close);
    devices.forEach(CudaDevice::close);
  }

  Ops ops() {
    return (Ops)
        Proxy.newProxyInstance(
            Ops.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (proxy, method, arguments) -> {
              synchronized (operations) {
                operations.add(method.getName());
              }
              return null;
            });
  }

  /** Opens all of so many cards. */
  List<Device> open(int count, int... visible) {
    fake.devices(count, visible);
    KERNELS.forEach(fake::kernel);
    Available available = (Available) backend.probe();
    available.devices().forEach(info -> devices.add((CudaDevice) backend.open(info)));
    devices.forEach(device -> regions.add(device.allocateRegion()));
    fake.clear();
    return List.copyOf(devices);
  }

  CudaGroup connect(int count, int... visible) {
    return (CudaGroup) groups.connect(open(count, visible)).orElseThrow();
  }

  Tensor tensor(int rank, DType type, int rows, int columns) {
    return regions.get(rank).allocate(type, rows, columns);
  }

  interface RankWork {
    void on(int rank);
  }

  /** Runs every rank on a thread of its own; the first failure in rank order is thrown. */
  void onRanks(int count, RankWork work) throws Throwable {
    List<Future<?>> results = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int rank = i;
      results.add(threads.submit(() -> work.on(rank)));
    }
    Throwable first = null;
    for (Future<?> result : results) {
      try {
        result.get(30, TimeUnit.SECONDS);
      } catch (ExecutionException e) {
        first = first == null ? e.getCause() : first;
      }
    }
    if (first != null) {
      throw first;
    }
  }

  void sum(CudaGroup group, int rows, int columns) throws Throwable {
    onRanks(
        group.size(),
        rank ->
            group
                .member(rank, devices.get(rank))
                .allReduceAdd(
                    tensor(rank, DType.BF16, rows, columns),
                    tensor(rank, DType.BF16, rows, columns),
                    devices.get(rank).ops()));
  }

  List<String> launches() {
    return fake.calls().stream().filter(call -> call.startsWith("cuLaunchKernelEx")).toList();
  }

  /** The arguments of a launch, in order. */
  static List<Long> arguments(String launch, int count) {
    String[] words = launch.split(" ", -1);
    List<Long> values = new ArrayList<>();
    for (int i = words.length - count; i < words.length; i++) {
      values.add(Long.parseLong(words[i]));
    }
    return values;
  }

  static MemorySegment word(long address) {
    return MemorySegment.ofAddress(address).reinterpret(Integer.BYTES);
  }
}
