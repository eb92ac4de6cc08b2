package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.parallel.RankGroups;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Ranks on GPUs that see each other. */
class CudaGroupTest extends FakeCards {
  private static final Pattern ENTRY = Pattern.compile("\\.entry (\\w+)\\(([^)]*)\\)");
  private static final Pattern PARAMETER = Pattern.compile("\\.param \\.\\w(\\d+)");

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
  void coreFindsTheGroups() {
    assertThat(ServiceLoader.load(RankGroups.Provider.class))
        .hasAtLeastOneElementOfType(CudaGroups.class);
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
}
