package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.error.PlanException;
import org.tessera.model.Architectures;
import org.tessera.tensor.DType;
import org.tessera.testing.ReferenceVectors;
import org.tessera.weights.SafetensorsCheckpoint;

class MemoryBudgetTest {
  private static MemoryBudget withFree(long bytes) {
    return new MemoryBudget("gpu:0", bytes, 1000, 200, 50, 2);
  }

  @Test
  void asManyTokensAsFitAndAreWanted() {
    assertThat(withFree(1250 + 2 * 2000).contextTokens(OptionalInt.empty(), 4096)).isEqualTo(2000);
    assertThat(withFree(1 << 20).contextTokens(OptionalInt.empty(), 4096)).isEqualTo(4096);
    assertThat(withFree(1 << 20).contextTokens(OptionalInt.of(5000), 4096)).isEqualTo(5000);
    // A short context is what a small model can have.
    assertThat(withFree(1250 + 2 * 100).contextTokens(OptionalInt.empty(), 64)).isEqualTo(64);
  }

  @Test
  void tooLittleIsRefusedWithWhatWouldFit() {
    assertThatThrownBy(() -> withFree(1250 + 2 * 2000).contextTokens(OptionalInt.of(2001), 4096))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("gpu:0: 5.1 KiB are needed")
        .hasMessageContaining("2 bytes more than the 5.1 KiB that are free")
        .hasMessageEndingWith("a context of 2000 tokens would fit");
    assertThatThrownBy(() -> withFree(700).contextTokens(OptionalInt.empty(), 4096))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("keys and values of 512 tokens")
        .hasMessageContaining("device map");
  }

  @Test
  void sizesAreThoseOfTheCheckpoint() {
    CheckpointConfig config =
        CheckpointConfig.read(ReferenceVectors.path("checkpoint"), Architectures.builtIn().names());
    try (SafetensorsCheckpoint weights =
            SafetensorsCheckpoint.open(ReferenceVectors.path("checkpoint"));
        Device device = Devices.probe().open("cpu")) {
      MemoryBudget budget = MemoryBudget.of(device, config.model(), weights, DType.BF16);
      long elements =
          weights.names().stream().mapToLong(name -> weights.info(name).shape().elements()).sum();
      assertThat(budget.weightBytes()).isEqualTo(2 * elements);
      assertThat(budget.kvBytesPerToken())
          .isEqualTo(
              2L
                  * config.model().numHiddenLayers()
                  * config.model().numKeyValueHeads()
                  * config.model().headDim()
                  * device.activationType().bytes());
      assertThat(budget.activationBytes()).isPositive();
      assertThat(budget.neededBytes(10) - budget.neededBytes(0))
          .isEqualTo(10 * budget.kvBytesPerToken());
    }
  }
}
