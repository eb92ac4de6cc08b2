package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.error.PlanException;

/** Sizes, device names and the syntax of {@code --max-memory}. */
class UnitsTest {

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "123456789, 123456789",
    "1KiB, 1024",
    "1MiB, 1048576",
    "10GiB, 10737418240",
    "0.5GiB, 536870912",
    ".5GiB, 536870912",
    "10gib, 10737418240",
    "10 GiB, 10737418240",
    "' 10GiB ', 10737418240",
    "1KB, 1000",
    "1e-3MB, 1000",
    "2.5E2KiB, 256000",
    "1.5MB, 1500000",
    "10GB, 10000000000",
    "80Gb, 10000000000",
    "80gb, 10000000000",
    "10gB, 10000000000",
    "1Kb, 125",
    "9Kb, 1125",
    "1.0009KB, 1000",
    "72057594037927936, 72057594037927936",
  })
  void sizesAreThoseOfAccelerate(String text, long bytes) {
    assertThat(ByteSize.parse(text)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "GiB",
        "-1",
        "-1GiB",
        "+1GiB",
        "NaN",
        "NaNGiB",
        "InfinityGB",
        "1eGB",
        "1e9999GB",
        "1TiB",
        "10 apples",
        "1..5GB",
        "0x10",
        "1,5GB",
        "10GiB extra",
        "10B",
        "٣GB"
      })
  void nonsenseIsRefused(String text) {
    assertThatThrownBy(() -> ByteSize.parse(text))
        .isInstanceOf(PlanException.class)
        .hasMessageStartingWith("size \"" + text.strip() + "\" is not valid: expected");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "72057594037927937",
        "9223372036854775808",
        "99999999999999999999999999999999999999",
        "99999999999999999999GiB",
        "67108865GiB",
        "1e400GB"
      })
  void sizesBeyondAnyMemoryAreRefused(String text) {
    assertThatThrownBy(() -> ByteSize.parse(text))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("more than 64 PiB is larger than any memory");
  }

  @Test
  void aHugeTextIsRefusedWithoutBeingRepeated() {
    assertThatThrownBy(() -> ByteSize.parse("9".repeat(1_000_000)))
        .isInstanceOf(PlanException.class)
        .satisfies(e -> assertThat(e.getMessage().length()).isLessThan(250));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 bytes",
    "1023, 1023 bytes",
    "1024, 1.0 KiB",
    "1572864, 1.5 MiB",
    "16198350304, 15.1 GiB",
    "1099511627776, 1024.0 GiB"
  })
  void sizesArePrintedInBinaryUnits(long bytes, String text) {
    assertThat(ByteSize.format(bytes)).isEqualTo(text);
  }

  @ParameterizedTest
  @CsvSource({"0, 0, GPU 0", "cuda:7, 7, GPU 7", "cpu, cpu, cpu", "disk, disk, disk"})
  void devicesAreReadAsHuggingFaceWritesThem(String text, String label, String name) {
    assertThat(DeviceId.parse(text).label()).isEqualTo(label);
    assertThat(DeviceId.parse(text)).hasToString(name);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "-1", "cuda", "cuda:", "cuda:-1", "cuda:x", "gpu", "CPU", "1.0", "99999"})
  void otherDevicesAreRefused(String text) {
    assertThatThrownBy(() -> DeviceId.parse(text))
        .isInstanceOf(PlanException.class)
        .hasMessage(
            "device \"%s\" is not known: expected a GPU's number such as 0 or cuda:0, or cpu"
                .formatted(text));
  }

  @Test
  void budgetsAreOrderedAsDevicesAreFilled() {
    assertThat(MaxMemory.parse("cpu=30GiB, 10=1KiB,2 = 4096,0=10GiB").toString())
        .isEqualTo("{GPU 0=10737418240, GPU 2=4096, GPU 10=1024, cpu=32212254720}");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "0 | --max-memory item \"0\" is not valid",
        "'' | --max-memory item \"\" is not valid",
        "0=1GiB, | --max-memory item \"\" is not valid",
        "0=1GiB,cuda:0=2GiB | --max-memory lists GPU 0 twice",
        "mps=1GiB | device \"mps\" is not known",
        "cpu=lots | size \"lots\" is not valid",
      })
  void wrongBudgetsAreRefused(String text, String message) {
    assertThatThrownBy(() -> MaxMemory.parse(text))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining(message);
  }

  @Test
  void tooManyBudgetsAreRefused() {
    assertThatThrownBy(() -> MaxMemory.parse("0=1,".repeat(1000) + "1=1"))
        .isInstanceOf(PlanException.class)
        .hasMessage("--max-memory lists 1001 devices, at most 18 are supported");
  }
}
