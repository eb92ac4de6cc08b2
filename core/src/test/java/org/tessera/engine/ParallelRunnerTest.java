package org.tessera.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.error.DeviceException;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache.RowCopies;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Collective;
import org.tessera.parallel.LocalGroup;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

class ParallelRunnerTest {
  @Test
  void aRankThatFailsReleasesTheOthersAndTheNextCallWorks() {
    AtomicBoolean fail = new AtomicBoolean();
    try (Device device = Devices.probe().open("cpu")) {
      LocalGroup group = new LocalGroup(3);
      try (ParallelRunner runner =
          new ParallelRunner(
              List.of(
                  new SummingRank(device, group.member(0, device), fail),
                  new SummingRank(device, group.member(1, device), fail),
                  new SummingRank(device, group.member(2, device), fail)),
              group)) {
        Assertions.assertTimeoutPreemptively(
            Duration.ofSeconds(20),
            () -> {
              assertThat(runner.run(NOTHING).logits()).isDeepEqualTo(new float[][] {{0 + 1 + 2}});
              fail.set(true);
              assertThatThrownBy(() -> runner.run(NOTHING))
                  .isInstanceOf(DeviceException.class)
                  .hasMessage("an injected failure");
              fail.set(false);
              assertThat(runner.run(NOTHING).logits()).isDeepEqualTo(new float[][] {{0 + 1 + 2}});
            });
      }
    }
  }

  private static final StepInput NOTHING =
      new StepInput(
          new int[0],
          new int[0],
          new int[0],
          new int[1],
          new int[0],
          new int[0][],
          List.of(),
          new int[0],
          new int[0],
          List.of());

  /** Answers with the sum of all rank numbers; rank 1 fails between two collectives if told to. */
  private record SummingRank(Device device, Collective collective, AtomicBoolean fail)
      implements ModelRunner {
    @Override
    public StepOutput run(StepInput step) {
      try (var region = device.allocateRegion()) {
        Tensor value = region.allocate(DType.F32, 1, 1);
        device.upload(new float[] {collective.rank()}, value);
        collective.allReduceSum(value);
        float[] sum = device.download(value);
        if (fail.get() && collective.rank() == 1) {
          throw new DeviceException("an injected failure");
        }
        collective.allReduceSum(value);
        return new StepOutput(new float[][] {sum}, new int[0], new int[0]);
      }
    }

    @Override
    public VisionLanguageModel.Spec spec() {
      throw new AssertionError("not asked for");
    }

    @Override
    public void encodeImages(
        long imagesId, List<ProcessedSlice> slices, int firstRow, int totalRows) {}

    @Override
    public void releaseImages(long imagesId) {}

    @Override
    public void copyKv(RowCopies copies) {}

    @Override
    public void close() {}
  }
}
