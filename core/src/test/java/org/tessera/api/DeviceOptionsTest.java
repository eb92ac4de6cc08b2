package org.tessera.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.error.DeviceException;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.PlanException;
import org.tessera.plan.Deployment;
import org.tessera.plan.DeviceId;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.MaxMemory;
import org.tessera.testing.ReferenceVectors;

/** What users may ask for of devices, on a machine with one CPU. */
@Timeout(60)
class DeviceOptionsTest {
  private static final LoadOptions SMALL =
      LoadOptions.defaults().withDevice("cpu").withContextTokens(512);

  @TempDir Path directory;

  @Test
  void theCpuAloneHasEverything() {
    assertThat(placement(SMALL)).isEqualTo("everything on cpu");
    assertThat(placement(SMALL.withDeviceMap(DeviceMapChoice.parse("cpu"))))
        .isEqualTo("everything on cpu");
    assertThat(placement(SMALL.withMaxMemory(MaxMemory.parse("cpu=2GiB"))))
        .isEqualTo("everything on cpu");
  }

  @Test
  void ranksAndCopiesShareTheCpu() {
    assertThat(placement(SMALL.withTensorParallel(2)))
        .isEqualTo("every layer cut over 2 ranks of cpu");
    assertThat(placement(SMALL.withReplicas(2)))
        .isEqualTo("2 copies: everything on cpu; everything on cpu");
    assertThat(placement(SMALL.withReplicas(2).withTensorParallel(2)))
        .isEqualTo(
            "2 copies: every layer cut over 2 ranks of cpu; every layer cut over 2 ranks of cpu");
  }

  @Test
  void copiesShareTheQueueAndTheirCountsAreSummed() {
    try (Tessera one = load(SMALL);
        Tessera two = load(SMALL.withReplicas(2))) {
      assertThat(two.stats().kvBlocks()).isEqualTo(2 * one.stats().kvBlocks());
      assertThat(two.devices()).hasSize(1);
      GenerationOptions greedy = GenerationOptions.greedy().withMaxNewTokens(8);
      for (int i = 0; i < 4; i++) {
        ChatRequest request = ChatRequest.of(Message.user("Question " + i)).with(greedy);
        assertThat(two.chat(request).tokenIds()).isEqualTo(one.chat(request).tokenIds());
      }
    }
  }

  @Test
  void aMapFileIsFollowed() throws Exception {
    Path file = directory.resolve("map.json");
    Files.writeString(file, "{\"llm\": \"cpu\", \"vpm\": \"cpu\", \"resampler\": \"cpu\"}");

    assertThat(placement(SMALL.withDeviceMap(DeviceMapChoice.parse(file.toString()))))
        .isEqualTo("everything on cpu");
  }

  @Test
  void whatIsNotThereIsRefused() {
    assertThatThrownBy(() -> load(SMALL.withDevice("tpu:3")))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("tpu:3");
    assertThatThrownBy(() -> load(SMALL.withDeviceMap(DeviceMapChoice.parse("7"))))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("GPU 7");
    assertThatThrownBy(() -> load(SMALL.withDeployment(Deployment.on(DeviceId.gpu(7), 2))))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("GPU 7")
        .hasMessageContaining("cpu");
    assertThatThrownBy(() -> load(SMALL.withMaxMemory(MaxMemory.parse("cpu=1MiB"))))
        .isInstanceOf(PlanException.class);
  }

  @Test
  void numbersBelowOneAndContradictionsAreRefused() {
    assertThatThrownBy(() -> SMALL.withReplicas(0))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("replicas");
    assertThatThrownBy(() -> SMALL.withTensorParallel(0))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("tensor_parallel");
    assertThatThrownBy(() -> SMALL.withReplicas(2).withDeviceMap(DeviceMapChoice.parse("balanced")))
        .isInstanceOf(InvalidRequestException.class);
    assertThat(SMALL.withReplicas(2).withDeviceMap(DeviceMapChoice.parse("auto")).devices())
        .returns(OptionalInt.of(2), DeviceOptions::replicas);
    assertThat(SMALL.withMaxMemory(new TreeMap<>()).devices().maxMemory()).isPresent();
  }

  private static String placement(LoadOptions options) {
    try (Tessera tessera = load(options)) {
      return tessera.info().placement();
    }
  }

  private static Tessera load(LoadOptions options) {
    return Tessera.load(ReferenceVectors.path("checkpoint"), options);
  }
}
