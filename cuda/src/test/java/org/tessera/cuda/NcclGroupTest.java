package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;

/** Ranks on GPUs that do not see each other. */
class NcclGroupTest extends FakeCards {
  @Test
  void ncclConnectsCardsThatDoNotSeeEachOther() throws Throwable {
    SymbolLookup nccl = fake.installNccl();
    open(2, 3, 1);
    fake.peers(1, 3, false);
    CudaGroup group = (CudaGroup) groups.connect(List.copyOf(devices)).orElseThrow();
    assertThat(group.transport().description()).isEqualTo("NCCL 2.27.7");
    assertThat(FakeCuda.lines(nccl)).containsExactly("init 0 1");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value =
          (MemorySegment)
              FakeCuda.call(
                  nccl, "fake_environment", ADDRESS, arena.allocateFrom("NCCL_NVLS_ENABLE"));
      assertThat(value.reinterpret(16).getString(0))
          .isEqualTo(Optional.ofNullable(System.getenv("NCCL_NVLS_ENABLE")).orElse("0"));
    }
    sum(group, 2, 8);
    assertThat(FakeCuda.lines(nccl))
        .contains(
            "sum 16 type 9 op 0 in place 1 stream 351", "sum 16 type 9 op 0 in place 1 stream 151");
    assertThat(operations).containsExactly("add", "add");
    onRanks(
        2,
        rank ->
            group
                .member(rank, devices.get(rank))
                .allGatherColumns(tensor(rank, DType.F32, 2, 5), tensor(rank, DType.F32, 2, 10)));
    assertThat(FakeCuda.lines(nccl).stream().filter("gather 5 type 7 stream 351"::equals))
        .hasSize(2);
    FakeCuda.call(nccl, "fake_async_error", null, 6);
    assertThatThrownBy(() -> devices.getFirst().download(tensor(0, DType.BF16, 1, 8)))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("remote process has exited");
    FakeCuda.call(nccl, "fake_async_error", null, 0);
    DeviceException injected = new DeviceException("an injected failure");
    group.abort(injected);
    group.abort(new DeviceException("a second one"));
    assertThat(FakeCuda.lines(nccl).stream().filter("abort"::equals)).hasSize(2);
    assertThatThrownBy(() -> sum(group, 1, 8)).hasCause(injected);
    assertThat(group.recover()).isSameAs(injected);
    assertThat(FakeCuda.lines(nccl).getLast()).isEqualTo("init 0 1");
    sum(group, 1, 8);
    group.close();
    assertThat((int) FakeCuda.call(nccl, "fake_live", JAVA_INT)).isZero();
  }

  @Test
  void withoutAnyWayThereIsNoGroup() throws Throwable {
    open(2);
    assertThat(groups.connect(List.of(devices.getFirst()))).isEmpty();
    assertThat(devices.getFirst().recordsWork()).isTrue();
    CudaDevice again = (CudaDevice) backend.open(devices.getFirst().info());
    devices.add(again);
    assertThat(groups.connect(List.of(devices.getFirst(), again))).as("one card twice").isEmpty();
    try (Device cpu = Devices.probe().open("cpu")) {
      assertThat(groups.connect(List.of(devices.getFirst(), cpu))).isEmpty();
    }
    assertThat(devices.getFirst().recordsWork()).as("through the host").isFalse();
    fake.fail("cuCtxEnablePeerAccess", 711);
    assertThat(groups.connect(List.of(devices.get(0), devices.get(1)))).isEmpty();
    fake.fail("", 0);
    assertThat(groups.connect(List.of(devices.get(0), devices.get(1))))
        .as("the answer of a pair is kept")
        .isEmpty();
  }
}
