package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Backend.Component;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.error.DeviceException;
import org.tessera.parallel.RankGroup;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Which cards there are, who sees whom, and copies between them. */
class PeerCopyTest extends FakeCards {
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
  void theProbeSaysWhoSeesWhom() throws Throwable {
    fake.devices(3);
    assertThat(((Available) backend.probe()).notes())
        .containsExactly(
            "cuda:0 sees the memory of cuda:1, cuda:2",
            "cuda:1 sees the memory of cuda:0, cuda:2",
            "cuda:2 sees the memory of cuda:0, cuda:1",
            "NCCL is not installed, and not needed where all cards see each other");
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
        .isEqualTo(new Component("NCCL", folder.resolve("libnccl.so.2").toString(), "2.27.7"));
    fake.devices(3);
    assertThat(((Available) backend.probe()).notes()).hasSize(3);
    fake.devices(1);
    assertThat(((Available) backend.probe()).notes()).isEmpty();
  }
}
