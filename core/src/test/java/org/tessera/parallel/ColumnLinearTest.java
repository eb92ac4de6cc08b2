package org.tessera.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.device.Workspace;
import org.tessera.error.PlanException;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;
import org.tessera.weights.RandomWeights;
import org.tessera.weights.Weights;

/** A head over a vocabulary, cut over ranks that cannot share it evenly. */
class ColumnLinearTest {
  private static final int WIDTH = 24;
  private static final int ROWS = 3;
  private static final float UNTOUCHED = 12_345;

  /** Outputs, ranks, and columns between the rows of the result. */
  @ParameterizedTest
  @CsvSource({
    "64,2,0",
    "64,2,64",
    "10,3,0",
    "10,3,8",
    "13,4,0",
    "13,4,51",
    "664,3,0",
    "664,3,40",
    "1333,2,0",
    "1333,4,11",
    "151,7,0",
    "5,1,0"
  })
  void theRanksTogetherGiveWhatOneGives(int outputs, int ranks, int gap) throws Exception {
    float[][] expected = logits(outputs, 1, gap).getFirst();
    List<float[][]> actual = logits(outputs, ranks, gap);

    assertThat(actual).hasSize(ranks);
    for (float[][] rows : actual) {
      for (int row = 0; row < ROWS; row++) {
        assertThat(rows[row]).hasSize(outputs);
        assertThat(rows[row]).containsExactly(expected[row]);
      }
    }
  }

  @Test
  void moreRanksThanOutputsAreRefused() {
    assertThatThrownBy(() -> logits(5, 4, 0))
        .hasRootCauseInstanceOf(PlanException.class)
        .hasMessageContaining("too few for 4 ranks");
  }

  /** The result of every rank. */
  private static List<float[][]> logits(int outputs, int ranks, int gap) throws Exception {
    Map<String, Shape> shapes = Map.of("head.weight", Shape.of(outputs, WIDTH));
    LocalGroup group = new LocalGroup(ranks);
    try (RandomWeights weights = new RandomWeights(shapes, DType.BF16, 5);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<float[][]>> results = new ArrayList<>();
      for (int rank = 0; rank < ranks; rank++) {
        int number = rank;
        Callable<float[][]> task =
            () -> {
              try (Device device = Devices.probe().open("cpu");
                  DeviceMemory region = device.allocateRegion()) {
                Weights root = Weights.root(weights, device, region, DType.BF16);
                Collective collective =
                    ranks == 1 ? Collective.single() : group.member(number, device);
                return logits(root, new Rank(device, collective), outputs, gap);
              }
            };
        results.add(threads.submit(task));
      }
      List<float[][]> values = new ArrayList<>();
      for (Future<float[][]> result : results) {
        values.add(result.get(20, TimeUnit.SECONDS));
      }
      return values;
    }
  }

  private static float[][] logits(Weights weights, Rank rank, int outputs, int gap) {
    Device device = rank.device();
    ColumnLinear head = ColumnLinear.load(weights, "head", outputs, WIDTH, rank);
    try (Workspace workspace = new Workspace(device)) {
      Tensor x = workspace.allocate(ROWS, WIDTH);
      Tensor norm = workspace.allocate(1, WIDTH);
      SplittableRandom random = new SplittableRandom(3);
      float[] values = new float[ROWS * WIDTH];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextDouble(-1, 1);
      }
      device.upload(values, x);
      float[] ones = new float[WIDTH];
      Arrays.fill(ones, 1);
      device.upload(ones, norm);
      Tensor out = workspace.allocate(DType.F32, ROWS, outputs + gap);
      float[] untouched = new float[ROWS * (outputs + gap)];
      Arrays.fill(untouched, UNTOUCHED);
      device.upload(untouched, out);
      head.forward(x, new RmsNorm(norm, 1e-6f), out.columns(0, outputs), workspace);
      float[][] rows = new float[ROWS][];
      for (int row = 0; row < ROWS; row++) {
        rows[row] = device.download(out.columns(0, outputs).rows(row, row + 1));
        assertThat(rows[row]).doesNotContain(UNTOUCHED);
      }
      return rows;
    }
  }
}
