package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.ops.Ops;
import org.tessera.parallel.RankGroup;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Several GPUs, against libraries that stand for CUDA's and NCCL. */
@Timeout(60)
class CudaGroupTest {
  /** PEER_PARAMETERS of peers.cuh: mailboxes, own, abort, status, rank, size. */
  private static final int[] PEER = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 4};

  private static final int ABORT = 9;
  private static final int STATUS = 10;

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

  private static final Pattern ENTRY = Pattern.compile("\\.entry (\\w+)\\(([^)]*)\\)");
  private static final Pattern PARAMETER = Pattern.compile("\\.param \\.\\w(\\d+)");

  @TempDir Path folder;
  private FakeCuda fake;
  private CudaBackend backend;
  private CudaGroups groups;
  private final List<String> operations = new ArrayList<>();
  private final List<CudaDevice> devices = new ArrayList<>();
  private final List<DeviceMemory> regions = new ArrayList<>();
  private final ExecutorService threads = Executors.newCachedThreadPool();

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

  private Ops ops() {
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
  private List<Device> open(int count, int... visible) {
    fake.devices(count, visible);
    KERNELS.forEach(fake::kernel);
    Available available = (Available) backend.probe();
    available.devices().forEach(info -> devices.add((CudaDevice) backend.open(info)));
    devices.forEach(device -> regions.add(device.allocateRegion()));
    fake.clear();
    return List.copyOf(devices);
  }

  private CudaGroup connect(int count, int... visible) {
    return (CudaGroup) groups.connect(open(count, visible)).orElseThrow();
  }

  private Tensor tensor(int rank, DType type, int rows, int columns) {
    return regions.get(rank).allocate(type, rows, columns);
  }

  private interface RankWork {
    void on(int rank);
  }

  /** Runs every rank on a thread of its own; the first failure in rank order is thrown. */
  private void onRanks(int count, RankWork work) throws Throwable {
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

  private void sum(CudaGroup group, int rows, int columns) throws Throwable {
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

  private List<String> launches() {
    return fake.calls().stream().filter(call -> call.startsWith("cuLaunchKernelEx")).toList();
  }

  /** The arguments of a launch, in order. */
  private static List<Long> arguments(String launch, int count) {
    String[] words = launch.split(" ");
    List<Long> values = new ArrayList<>();
    for (int i = words.length - count; i < words.length; i++) {
      values.add(Long.parseLong(words[i]));
    }
    return values;
  }

  private static MemorySegment word(long address) {
    return MemorySegment.ofAddress(address).reinterpret(Integer.BYTES);
  }

  /** The stand-in is told what these tests expect; nvcc tells what is true. */
  @Test
  void theKernelsTakeTheseParameters() throws Exception {
    String nvcc = KernelsCompileTest.nvcc().orElse(null);
    assumeTrue(nvcc != null, "no nvcc on the PATH or under /usr/local/cuda*");
    Path ptx = folder.resolve("allreduce.ptx");
    String source = KernelsCompileTest.directory().resolve("allreduce.cu").toString();
    assertThat(
            new ProcessBuilder(nvcc, "-ptx", "-arch=sm_90", "-o", ptx.toString(), source)
                .inheritIO()
                .start()
                .waitFor())
        .isZero();
    Map<String, List<Integer>> found = new HashMap<>();
    Matcher entries = ENTRY.matcher(Files.readString(ptx));
    while (entries.find()) {
      List<Integer> bytes =
          PARAMETER
              .matcher(entries.group(2))
              .results()
              .map(parameter -> Integer.parseInt(parameter.group(1)) / 8)
              .toList();
      found.put(entries.group(1), bytes);
    }
    assertThat(found.keySet()).isEqualTo(KERNELS.keySet());
    KERNELS.forEach((name, bytes) ->
        assertThat(found.get(name)).as(name).isEqualTo(Arrays.stream(bytes).boxed().toList()));
  }

  /** The host allocates what the kernels lay out. */
  @Test
  void mailboxesAreAsLargeAsTheKernelsHaveThem() {
    String peers =
        Objects.requireNonNull(KernelSource.ofResource("allreduce.cu").headers().get("peers.cuh"));
    assertThat(peers)
        .contains(
            "MAX_RANKS = 8;",
            "MAX_BLOCKS = 128;",
            "ADDRESSES_OFFSET = 256;",
            "DONE_OFFSET = ADDRESSES_OFFSET + MAX_RANKS * MAX_BLOCKS * 32;",
            "SLOTS_OFFSET = DONE_OFFSET + MAX_RANKS * MAX_BLOCKS * 4;");
    try (CudaGroup group = connect(2)) {
      long slots = PeerTransport.oneShotBytes(2) / 8;
      long bytes = 256 + 8 * 128 * 32 + 8 * 128 * 4 + 2 * 2 * slots * 16;
      assertThat(bytes).isEqualTo(4_231_424);
      assertThat(fake.calls().stream().filter("cuMemAlloc_v2 4231424"::equals))
          .hasSize(group.size());
    }
  }

  @Test
  void peersAreAllowedOnceForEachPair() throws Throwable {
    CudaGroup group = connect(3);
    assertThat(group.transport().description()).isEqualTo("kernels over peer memory");
    assertThat(fake.calls().stream().filter(call -> call.startsWith("cuCtxEnablePeerAccess")))
        .containsExactlyInAnyOrder(
            "cuCtxEnablePeerAccess 0 to 1",
            "cuCtxEnablePeerAccess 0 to 2",
            "cuCtxEnablePeerAccess 1 to 0",
            "cuCtxEnablePeerAccess 1 to 2",
            "cuCtxEnablePeerAccess 2 to 0",
            "cuCtxEnablePeerAccess 2 to 1");
    group.close();
    fake.clear();
    groups.connect(List.copyOf(devices)).orElseThrow().close();
    devices
        .getFirst()
        .receive(devices.get(1), tensor(1, DType.BF16, 1, 8), tensor(0, DType.BF16, 1, 8));
    assertThat(fake.calls()).noneMatch(call -> call.contains("PeerAccess"));
  }

  @Test
  void devicesAreThoseThatAreVisible() throws Throwable {
    open(2, 3, 1);
    assertThat(devices)
        .extracting(device -> device.info().id())
        .containsExactly("cuda:0", "cuda:1");
    assertThat(devices)
        .extracting(device -> device.stream().handle())
        .containsExactly(0x351L, 0x151L);
    try (RankGroup group = groups.connect(List.copyOf(devices)).orElseThrow()) {
      assertThat(fake.calls())
          .contains("cuDeviceCanAccessPeer 3 1", "cuCtxEnablePeerAccess 3 to 1");
      sum((CudaGroup) group, 1, 8);
      assertThat(launches()).anyMatch(launch -> launch.contains("stream 351"));
    }
    assertThatThrownBy(
            () -> backend.open(new org.tessera.device.DeviceInfo("cuda:3", "Fake H200", 1, 1)))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("no device 'cuda:3' among 2");
  }

  @Test
  void theSizeDecidesHowToSum() throws Throwable {
    try (CudaGroup group = connect(2)) {
      sum(group, 1, 3584);
      List<String> launches = launches();
      assertThat(launches).hasSize(2);
      for (String launch : launches) {
        assertThat(launch)
            .startsWith("cuLaunchKernelEx all_reduce_one_shot_2 grid 7,1,1 block 128,1,1 shared 0")
            .contains("programmatic 1");
        List<Long> arguments = arguments(launch, PEER.length + 5);
        int rank = launch.contains("stream 51") ? 0 : 1;
        assertThat(arguments.get(8)).as("own mailbox").isEqualTo(arguments.get(rank));
        assertThat(arguments.subList(2, 8)).containsOnly(0L);
        assertThat(arguments.subList(11, 13)).containsExactly((long) rank, 2L);
        assertThat(arguments.subList(15, 18)).containsExactly(1L, 3584L, 65_536L);
      }
      fake.clear();
      // 512 KiB is the most in one shot.
      sum(group, 73, 3584);
      assertThat(launches()).allMatch(launch -> launch.contains("one_shot_2 grid 511,1,1"));
      fake.clear();
      sum(group, 74, 3584);
      assertThat(launches())
          .hasSize(2)
          .allMatch(launch -> launch.contains("two_shot_2 grid 33,1,1 block 512,1,1"));
      fake.clear();
      sum(group, 691, 3584);
      assertThat(launches()).allMatch(launch -> launch.contains("two_shot_2 grid 128,1,1"));
      fake.clear();
      sum(group, 0, 3584);
      assertThat(launches()).isEmpty();
    }
    assertThat(PeerTransport.oneShotBytes(4)).isEqualTo(174_760);
    assertThat(PeerTransport.oneShotBytes(8)).isEqualTo(74_896);
  }

  @Test
  void aSumInPlaceHasNoResidual() throws Throwable {
    try (CudaGroup group = connect(3)) {
      onRanks(
          3,
          rank ->
              group.member(rank, devices.get(rank)).allReduceSum(tensor(rank, DType.BF16, 1, 13)));
      assertThat(launches()).hasSize(3);
      for (String launch : launches()) {
        assertThat(launch).contains("all_reduce_one_shot_4 grid 1,1,1");
        List<Long> arguments = arguments(launch, PEER.length + 5);
        assertThat(arguments.get(13)).isEqualTo(arguments.get(14));
        assertThat(arguments.subList(15, 17)).containsExactly(0L, 13L);
      }
    }
  }

  @Test
  void columnsGoWhereTheyBelong() throws Throwable {
    try (CudaGroup group = connect(2)) {
      Tensor[] outs = {
        tensor(0, DType.F32, 3, 16).columns(0, 10), tensor(1, DType.F32, 3, 16).columns(0, 10)
      };
      onRanks(
          2,
          rank ->
              group
                  .member(rank, devices.get(rank))
                  .allGatherColumns(tensor(rank, DType.F32, 3, 5), outs[rank]));
      for (String launch : launches()) {
        int rank = launch.contains("stream 51") ? 0 : 1;
        assertThat(launch).contains("all_gather_columns_32 grid 1,1,1");
        assertThat(arguments(launch, 6).subList(1, 6))
            .containsExactly(5L, outs[rank].memory().address(), 16L, 3L, 5L);
      }
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              group
                  .member(0, devices.getFirst())
                  .allGatherColumns(tensor(0, DType.F32, 3, 5), tensor(0, DType.F32, 3, 11)));
      assertThatIllegalArgumentException()
          .isThrownBy(() ->
              group
                  .member(0, devices.getFirst())
                  .allReduceSum(tensor(0, DType.BF16, 3, 8).columns(0, 4)));
      assertThatIllegalArgumentException().isThrownBy(() -> group.member(0, devices.get(1)));
    }
  }

  @Test
  void aCopyWaitsForItsSource() {
    open(2);
    CudaDevice to = devices.get(0);
    CudaDevice from = devices.get(1);
    Tensor source = tensor(1, DType.BF16, 2, 3);
    Tensor destination = tensor(0, DType.BF16, 2, 3);
    from.upload(new float[] {1, 2, 3, 4, 5, 6}, source);
    for (int i = 0; i < 2; i++) {
      fake.clear();
      to.receive(from, source, destination);
      List<String> expected =
          List.of(
              "cuEventRecord 1e1 151",
              "cuStreamWaitEvent 51 1e1 0",
              "cuMemcpyPeerAsync c0 from 1c0 12 stream 51");
      assertThat(fake.calls().subList(fake.calls().size() - 3, fake.calls().size()))
          .isEqualTo(expected);
      assertThat(fake.calls()).hasSize(i == 0 ? 6 : 3); // the pair and the event are kept
    }
    assertThat(to.download(destination)).containsExactly(1, 2, 3, 4, 5, 6);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> to.receive(from, source, tensor(0, DType.BF16, 2, 4)));
  }

  @Test
  void cardsThatDoNotSeeEachOtherCopyAllTheSame() {
    fake.devices(2);
    open(2);
    fake.peers(0, 1, false);
    Tensor source = tensor(1, DType.BF16, 1, 2);
    Tensor destination = tensor(0, DType.BF16, 1, 2);
    devices.get(1).upload(new float[] {7, 8}, source);
    devices.get(0).receive(devices.get(1), source, destination);
    assertThat(devices.get(0).download(destination)).containsExactly(7, 8);
    assertThat(fake.calls()).noneMatch(call -> call.startsWith("cuCtxEnablePeerAccess"));
  }

  @Test
  void whatIsConvertedGoesThroughTheHost() {
    open(2);
    Tensor source = tensor(1, DType.F32, 1, 2);
    Tensor destination = tensor(0, DType.BF16, 1, 2);
    devices.get(1).upload(new float[] {1.5f, -2}, source);
    devices.get(0).receive(devices.get(1), source, destination);
    assertThat(devices.get(0).download(destination)).containsExactly(1.5f, -2);
    try (Device cpu = Devices.probe().open("cpu");
        DeviceMemory memory = cpu.allocateRegion()) {
      Tensor host = memory.allocate(DType.F32, 1, 2);
      cpu.upload(new float[] {3, 4}, host);
      devices.get(0).receive(cpu, host, destination);
      assertThat(devices.get(0).download(destination)).containsExactly(3, 4);
    }
    assertThat(fake.calls()).noneMatch(call -> call.startsWith("cuMemcpyPeerAsync"));
  }

  @Test
  void aRankThatFailsReleasesTheOthers() throws Throwable {
    try (CudaGroup group = connect(2)) {
      sum(group, 1, 8);
      List<Long> arguments = arguments(launches().getFirst(), PEER.length + 5);
      MemorySegment flag = word(arguments.get(ABORT));
      MemorySegment epoch = word(arguments.get(1));
      epoch.set(JAVA_INT, 0, 41);
      assertThat(flag.get(JAVA_INT, 0)).isZero();
      DeviceException injected = new DeviceException("an injected failure");
      assertThatThrownBy(() ->
              onRanks(
                  2,
                  rank -> {
                    if (rank == 1) {
                      group.abort(injected);
                      throw injected;
                    }
                    group.member(0, devices.getFirst()).allReduceSum(tensor(0, DType.BF16, 1, 8));
                  }))
          .isInstanceOf(GenerationException.class)
          .hasMessage("another rank failed")
          .hasCause(injected);
      assertThat(flag.get(JAVA_INT, 0)).isEqualTo(1);
      assertThatThrownBy(() -> sum(group, 1, 8)).hasCause(injected);
      // What was read since is no result.
      assertThatThrownBy(() -> devices.getFirst().download(tensor(0, DType.BF16, 1, 8)))
          .hasCause(injected);
      assertThat(group.recover()).isSameAs(injected);
      assertThat(flag.get(JAVA_INT, 0)).isZero();
      assertThat(epoch.get(JAVA_INT, 0)).isZero();
      fake.clear();
      sum(group, 1, 8);
      assertThat(launches()).hasSize(2);
    }
  }

  @Test
  void aCollectiveThatGaveUpHasNoResult() throws Throwable {
    try (CudaGroup group = connect(2)) {
      sum(group, 1, 8);
      MemorySegment status =
          word(
              arguments(
                      launches().stream()
                          .filter(launch -> launch.contains("stream 151"))
                          .findFirst()
                          .orElseThrow(),
                      PEER.length + 5)
                  .get(STATUS));
      status.set(JAVA_INT, 0, 1);
      devices.get(0).download(tensor(0, DType.BF16, 1, 8));
      assertThatThrownBy(() -> devices.get(1).download(tensor(1, DType.BF16, 1, 8)))
          .isInstanceOf(GenerationException.class)
          .hasMessageContaining("given up");
      assertThatThrownBy(() -> devices.get(1).download(tensor(1, DType.I32, 1, 1), new int[1]))
          .isInstanceOf(GenerationException.class);
      group.recover();
      devices.get(1).download(tensor(1, DType.BF16, 1, 8));
    }
  }

  @Test
  void aLostCardLeavesTheGroupAborted() throws Throwable {
    try (CudaGroup group = connect(2)) {
      DeviceException injected = new DeviceException("an injected failure");
      group.abort(injected);
      fake.fail("cuStreamSynchronize", 700);
      assertThat(group.recover().getSuppressed()).hasSize(1);
      fake.fail("", 0);
      assertThatThrownBy(() -> sum(group, 1, 8)).isInstanceOf(GenerationException.class);
      group.recover();
      sum(group, 1, 8);
    }
  }

  @Test
  void anInterruptedRankReleasesTheOthers() throws Throwable {
    try (CudaGroup group = connect(2)) {
      assertThatThrownBy(() ->
              onRanks(
                  1,
                  rank -> {
                    Thread.currentThread().interrupt();
                    group.member(0, devices.getFirst()).allReduceSum(tensor(0, DType.BF16, 1, 8));
                  }))
          .isInstanceOf(GenerationException.class)
          .hasCauseInstanceOf(InterruptedException.class);
      assertThatThrownBy(() -> sum(group, 1, 8)).isInstanceOf(GenerationException.class);
    }
  }

  @Test
  void graphsAreLaunchedWhenAllRanksHaveThem() throws Throwable {
    try (CudaGroup group = connect(2)) {
      Tensor[] values = {tensor(0, DType.BF16, 1, 8), tensor(1, DType.BF16, 1, 8)};
      RankWork replay =
          rank ->
              devices
                  .get(rank)
                  .replay(
                      "step",
                      () -> group.member(rank, devices.get(rank)).allReduceSum(values[rank]));
      onRanks(2, replay);
      assertThat(launches()).hasSize(2);
      fake.clear();
      onRanks(2, replay);
      List<String> calls = fake.calls();
      assertThat(calls).contains("cuGraphUpload 71 51", "cuGraphUpload 171 151");
      assertThat(calls.indexOf("cuGraphUpload 71 51"))
          .isLessThan(calls.indexOf("cuGraphLaunch 171 151"));
      assertThat(calls.indexOf("cuGraphUpload 171 151"))
          .isLessThan(calls.indexOf("cuGraphLaunch 71 51"));
      fake.clear();
      onRanks(2, replay);
      assertThat(fake.calls())
          .containsExactlyInAnyOrder("cuGraphLaunch 71 51", "cuGraphLaunch 171 151");
      // Who had recorded what is not known after a failure: all begin anew.
      group.abort(new DeviceException("an injected failure"));
      group.recover();
      fake.clear();
      onRanks(2, replay);
      assertThat(fake.calls()).allMatch(call -> call.startsWith("cuLaunchKernelEx"));
    }
  }

  @Test
  void aFirstRunThatFailsIsRunAgain() {
    open(1);
    CudaDevice device = devices.getFirst();
    assertThatThrownBy(() ->
            device.replay(
                "step",
                () -> {
                  throw new DeviceException("no memory");
                }))
        .hasMessage("no memory");
    fake.clear();
    device.replay("step", () -> {});
    assertThat(fake.calls()).isEmpty();
    device.replay("step", () -> {});
    assertThat(fake.calls()).contains("cuGraphLaunch 71 51");
  }

  @Test
  void closingFreesWhatTheGroupMade() throws Throwable {
    open(2);
    long before = fake.live();
    CudaGroup group = (CudaGroup) groups.connect(List.copyOf(devices)).orElseThrow();
    assertThat(fake.live()).isGreaterThan(before);
    assertThatThrownBy(() -> groups.connect(List.copyOf(devices)))
        .isInstanceOf(IllegalStateException.class);
    group.close();
    group.close();
    assertThat(fake.live()).isEqualTo(before);
    fake.fail("cuModuleGetFunction", 2);
    assertThatThrownBy(() -> groups.connect(List.copyOf(devices)))
        .isInstanceOf(CudaException.class);
    assertThat(fake.live()).isEqualTo(before);
    fake.fail("", 0);
    groups.connect(List.copyOf(devices)).orElseThrow().close();
    close();
    assertThat(fake.live()).isZero();
  }

  private static List<String> ncclCalls(SymbolLookup nccl) {
    return FakeCuda.lines(nccl);
  }

  @Test
  void ncclConnectsCardsThatDoNotSeeEachOther() throws Throwable {
    SymbolLookup nccl = fake.installNccl();
    open(2, 3, 1);
    fake.peers(1, 3, false);
    CudaGroup group = (CudaGroup) groups.connect(List.copyOf(devices)).orElseThrow();
    assertThat(group.transport().description()).isEqualTo("NCCL 2.27.7");
    assertThat(ncclCalls(nccl)).containsExactly("init 0 1");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value =
          (MemorySegment)
              FakeCuda.call(
                  nccl, "fake_environment", ADDRESS, arena.allocateFrom("NCCL_NVLS_ENABLE"));
      assertThat(value.reinterpret(16).getString(0))
          .isEqualTo(Optional.ofNullable(System.getenv("NCCL_NVLS_ENABLE")).orElse("0"));
    }
    sum(group, 2, 8);
    assertThat(ncclCalls(nccl))
        .contains(
            "sum 16 type 9 op 0 in place 1 stream 351", "sum 16 type 9 op 0 in place 1 stream 151");
    assertThat(operations).containsExactly("add", "add");
    onRanks(
        2,
        rank ->
            group
                .member(rank, devices.get(rank))
                .allGatherColumns(tensor(rank, DType.F32, 2, 5), tensor(rank, DType.F32, 2, 10)));
    assertThat(ncclCalls(nccl).stream().filter("gather 5 type 7 stream 351"::equals)).hasSize(2);
    FakeCuda.call(nccl, "fake_async_error", null, 6);
    assertThatThrownBy(() -> devices.getFirst().download(tensor(0, DType.BF16, 1, 8)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("remote process has exited");
    FakeCuda.call(nccl, "fake_async_error", null, 0);
    DeviceException injected = new DeviceException("an injected failure");
    group.abort(injected);
    group.abort(new DeviceException("a second one"));
    assertThat(ncclCalls(nccl).stream().filter("abort"::equals)).hasSize(2);
    assertThatThrownBy(() -> sum(group, 1, 8)).hasCause(injected);
    assertThat(group.recover()).isSameAs(injected);
    assertThat(ncclCalls(nccl).getLast()).isEqualTo("init 0 1");
    sum(group, 1, 8);
    group.close();
    assertThat((int) FakeCuda.call(nccl, "fake_live", JAVA_INT)).isZero();
  }

  @Test
  void withoutAnyWayThereIsNoGroup() throws Throwable {
    open(2);
    assertThat(groups.connect(List.of(devices.getFirst()))).isEmpty();
    CudaDevice again = (CudaDevice) backend.open(devices.getFirst().info());
    devices.add(again);
    assertThat(groups.connect(List.of(devices.getFirst(), again))).as("one card twice").isEmpty();
    try (Device cpu = Devices.probe().open("cpu")) {
      assertThat(groups.connect(List.of(devices.getFirst(), cpu))).isEmpty();
    }
    fake.fail("cuCtxEnablePeerAccess", 711);
    assertThat(groups.connect(List.of(devices.get(0), devices.get(1)))).isEmpty();
    fake.fail("", 0);
    assertThat(groups.connect(List.of(devices.get(0), devices.get(1))))
        .as("the answer of a pair is kept")
        .isEmpty();
  }

  @Test
  void theProbeSaysWhoSeesWhom() throws Throwable {
    fake.devices(3);
    assertThat(((Available) backend.probe()).notes())
        .containsExactly(
            "cuda:0 sees the memory of cuda:1, cuda:2",
            "cuda:1 sees the memory of cuda:0, cuda:2",
            "cuda:2 sees the memory of cuda:0, cuda:1");
    fake.peers(0, 1, false);
    fake.peers(2, 0, false);
    fake.peers(2, 1, false);
    assertThat(((Available) backend.probe()).notes())
        .containsExactly(
            "cuda:0 sees the memory of cuda:2, not of cuda:1",
            "cuda:1 sees the memory of cuda:0, cuda:2",
            "cuda:2 sees the memory of no other card",
            "ranks on cards that do not see each other exchange through the host's memory, which is"
                + " many times slower than NCCL: libnccl.so.2 is neither in the loader's path nor in "
                + folder
                + "; install it by: pip install nvidia-nccl-cu13");
    assertThat(backend.components()).hasSize(3);
    fake.installNccl();
    assertThat(((Available) backend.probe()).notes().getLast())
        .isEqualTo("ranks on cards that do not see each other exchange by NCCL 2.27.7");
    assertThat(backend.components().getLast())
        .isEqualTo(
            new CudaBackend.Component("NCCL", folder.resolve("libnccl.so.2").toString(), "2.27.7"));
    fake.devices(1);
    assertThat(((Available) backend.probe()).notes()).isEmpty();
  }
}
