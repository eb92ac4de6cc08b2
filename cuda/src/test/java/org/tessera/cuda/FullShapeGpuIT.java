package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.RankRunner;
import org.tessera.engine.StepInput;
import org.tessera.engine.StepInput.Splice;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.Architectures;
import org.tessera.parallel.Rank;
import org.tessera.tensor.DType;
import org.tessera.weights.RandomWeights;
import org.tessera.weights.WeightSource;
import org.tessera.weights.Weights;

/**
 * MiniCPM-V 2.6 in its full width, with two layers of the tower and two of the decoder so that the
 * processor is done in seconds, and random weights: a picture, a prompt and the tokens after it.
 */
class FullShapeGpuIT {
  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  private static final int LAYERS = 2;
  private static final int PLACEHOLDERS = FullShape.QUERIES;
  private static final int PICTURE_ROW = 3;
  private static final int PROMPT = 77;
  private static final int KV_TOKENS = 256;

  /** Steps of decoding: the first runs, the second is recorded, the others are the record. */
  private static final int NEW_TOKENS = 4;

  private static final double LARGEST_ERROR = 2e-2;
  private static final double CLEAR_MARGIN = 10;

  @Test
  void agreesWithTheProcessor(TestReporter reporter) {
    CheckpointConfig config = FullShape.config(LAYERS, LAYERS);
    int[] tokens = new Random(7).ints(PROMPT + NEW_TOKENS, 1, FullShape.VOCABULARY).toArray();
    float[][] expected;
    float[][] found;
    try (WeightSource weights =
        new RandomWeights(FullShape.tensors(config), DType.BF16, 20_260_101)) {
      try (Device cpu = Devices.probe().open("cpu")) {
        expected = logits(config, weights, cpu, tokens);
      }
      found = logits(config, weights, GPU.device(), tokens);
    }
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = check(i, expected[i], found[i]);
      largest = Math.max(largest, error);
    }
    reporter.publishEntry("largest relative error of logits", "%.2e".formatted(largest));
  }

  /** Logits of all positions of the prompt behind the picture, then of each token after it. */
  private static float[][] logits(
      CheckpointConfig config, WeightSource weights, Device device, int[] tokens) {
    ProcessedSlice slice = FullShape.noise();
    try (DeviceMemory region = device.allocateRegion()) {
      Weights root = Weights.root(weights, device, region, DType.BF16);
      EngineOptions options = EngineOptions.forTokens(KV_TOKENS, device);
      try (RankRunner runner =
          new RankRunner(
              Architectures.builtIn()
                  .find(config.model().architectures())
                  .load(config, root, Rank.whole(device)),
              device,
              options)) {
        runner.encodeImages(1, List.of(slice), 0, PLACEHOLDERS);
        int behind = PICTURE_ROW + PLACEHOLDERS;
        float[][] all = new float[PROMPT - behind + NEW_TOKENS][];
        float[][] ofPrompt =
            runner
                .run(
                    step(
                        tokens,
                        0,
                        PROMPT,
                        options,
                        List.of(new Splice(1, 0, PICTURE_ROW, PLACEHOLDERS)),
                        IntStream.range(behind, PROMPT).toArray()))
                .logits();
        System.arraycopy(ofPrompt, 0, all, 0, ofPrompt.length);
        for (int i = 0; i < NEW_TOKENS; i++) {
          StepInput next =
              step(tokens, PROMPT + i, PROMPT + i + 1, options, List.of(), new int[] {0});
          all[ofPrompt.length + i] = runner.run(next).logits()[0];
        }
        return all;
      }
    }
  }

  /** Positions {@code from} to {@code to} of the only sequence, whose blocks are in order. */
  private static StepInput step(
      int[] tokens, int from, int to, EngineOptions options, List<Splice> splices, int[] wanted) {
    int[] positions = IntStream.range(from, to).toArray();
    return new StepInput(
        IntStream.range(from, to).map(i -> tokens[i]).toArray(),
        positions,
        positions,
        new int[] {0, to - from},
        new int[] {to},
        new int[][] {IntStream.range(0, Math.ceilDiv(to, options.kvBlockRows())).toArray()},
        splices,
        wanted,
        new int[0],
        List.of());
  }

  private static double check(int row, float[] expected, float[] found) {
    double distance = 0;
    double norm = 0;
    double largest = 0;
    int likeliest = 0;
    int foundLikeliest = 0;
    for (int i = 0; i < expected.length; i++) {
      assertThat(found[i]).as("row %d, logit %d", row, i).isFinite();
      double error = found[i] - expected[i];
      distance += error * error;
      norm += (double) expected[i] * expected[i];
      largest = Math.max(largest, Math.abs(error));
      likeliest = expected[i] > expected[likeliest] ? i : likeliest;
      foundLikeliest = found[i] > found[foundLikeliest] ? i : foundLikeliest;
    }
    double relative = Math.sqrt(distance / norm);
    assertThat(relative).as("row %d: relative error", row).isLessThan(LARGEST_ERROR);
    if (foundLikeliest != likeliest) {
      assertThat((double) expected[likeliest] - expected[foundLikeliest])
          .as("row %d: margin of %d over %d", row, likeliest, foundLikeliest)
          .isLessThanOrEqualTo(CLEAR_MARGIN * largest);
    }
    return relative;
  }
}
