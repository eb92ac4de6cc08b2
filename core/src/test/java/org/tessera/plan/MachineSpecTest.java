package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.error.PlanException;

/** The syntax of {@code --gpus}. */
class MachineSpecTest {
  private static final long GIB = 1L << 30;

  @Test
  void devicesAreNumberedInOrder() {
    List<DeviceBudget> machine =
        MachineSpec.parse(
            "2x80GiB@3.35TB/s/989TFLOPs/link=300GB/s, 24GiB@1008gb/s,8GB,cpu=64GiB@40GB/s");

    DeviceSpeed fast =
        new DeviceSpeed(3.35e12, 989e12, new Link(300e9, Link.DIRECT.latencySeconds()));
    assertThat(machine.subList(0, 2))
        .containsExactly(
            new DeviceBudget(DeviceId.gpu(0), 80 * GIB, fast),
            new DeviceBudget(DeviceId.gpu(1), 80 * GIB, fast));
    assertThat(machine.get(2).device()).isEqualTo(DeviceId.gpu(2));
    assertThat(machine.get(2).speed().flops()).isCloseTo(165e12, within(1e9));
    assertThat(machine.get(2).speed().link()).isEqualTo(Link.HOST);
    assertThat(machine.get(3))
        .isEqualTo(new DeviceBudget(DeviceId.gpu(3), 8_000_000_000L, DeviceBudget.ASSUMED_GPU));
    assertThat(machine.get(4))
        .isEqualTo(
            new DeviceBudget(DeviceId.CPU, 64 * GIB, new DeviceSpeed(40e9, 430e9, Link.HOST)));
    assertThat(machine).hasSize(5);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "x24GiB",
        "4x",
        "24GiB@fast",
        "24GiB@0GB/s",
        "24GiB@100GiB/s",
        "17x1GiB",
        "0x1GiB",
        "9x1GiB,8x1GiB",
        "cpu=1GiB,cpu=2GiB",
        "2xcpu=1GiB",
        "24GiB@1008GB/s/0TFLOPs",
        "1GiB,,1GiB",
        "24GiB@1008GB/s/link=0GB/s",
        "24GiB@1e9GB/s"
      })
  void everythingElseIsRefused(String text) {
    assertThatThrownBy(() -> MachineSpec.parse(text))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("is not valid");
  }

  @Test
  void theLargestNumbersAreRead() {
    assertThat(MachineSpec.parse("24GiB@999999TB/s/999999TFLOPs/link=999999GB/s")).hasSize(1);
    assertThat(MachineSpec.parse("24GiB@999999TB/s")).hasSize(1);
  }
}
