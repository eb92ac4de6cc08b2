package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tessera.config.CheckpointConfig;
import org.tessera.cuda.GpuGroup.Setting;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.ModelRunner;
import org.tessera.engine.RankRunner;
import org.tessera.engine.StagedRunner;
import org.tessera.engine.StepInput;
import org.tessera.model.Architecture;
import org.tessera.model.Architectures;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Rank;
import org.tessera.tensor.DType;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.Weights;

/** The checkpoint of the vectors cut over two GPUs answers as it does on one. */
class TensorParallelGpuIT {
  private static final int TOKENS = 48;
  private static final double MAX_ERROR = 2e-2;

  /**
   * Not both ranks on one card: kernels that started early and wait for a sum of one rank would
   * hold the multiprocessors that the other rank's need.
   */
  @ParameterizedTest
  @EnumSource(names = {"TWO_CARDS_KERNELS", "TWO_CARDS_NCCL"})
  void cutInTwoTheAnswersAreTheSame(Setting setting, TestReporter reporter) {
    // A device of the group would wait for the other ranks.
    try (CudaDevice alone = GpuGroup.open(1, /* differentCards= */ false, DType.BF16).getFirst();
        GpuGroup ranks = new GpuGroup(setting, DType.BF16);
        SafetensorsCheckpoint checkpoint =
            SafetensorsCheckpoint.open(ReferenceVectors.path("checkpoint"))) {
      Architectures architectures = Architectures.builtIn();
      CheckpointConfig config =
          CheckpointConfig.read(ReferenceVectors.path("checkpoint"), architectures.names());
      Architecture architecture = architectures.find(config.model().architectures());
      EngineOptions options = EngineOptions.forTokens(1024);
      List<DeviceMemory> regions = new ArrayList<>();
      List<VisionLanguageModel> cut = new ArrayList<>();
      for (int i = 0; i < ranks.size(); i++) {
        CudaDevice device = ranks.devices.get(i);
        regions.add(device.allocateRegion());
        Weights weights = Weights.root(checkpoint, device, regions.getLast(), DType.BF16);
        cut.add(architecture.load(config, weights, new Rank(device, ranks.member(i))));
      }
      int[] prompt = prompt();
      List<float[]> expected;
      regions.add(alone.allocateRegion());
      Weights whole = Weights.root(checkpoint, alone, regions.getLast(), DType.BF16);
      try (ModelRunner one =
          new RankRunner(architecture.load(config, whole, Rank.whole(alone)), alone, options)) {
        expected = answer(one, prompt, List.of());
      }
      List<Integer> tokens = expected.stream().map(TensorParallelGpuIT::best).toList();
      try (ModelRunner two =
          StagedRunner.ofRanks(cut, List.copyOf(ranks.devices), ranks.group, options)) {
        List<float[]> logits = answer(two, prompt, tokens);
        double worst = 0;
        for (int i = 0; i < TOKENS; i++) {
          worst = Math.max(worst, error(logits.get(i), expected.get(i)));
        }
        reporter.publishEntry(setting + ", worst error of logits", "%.2e".formatted(worst));
        assertThat(worst).isLessThan(MAX_ERROR);
        assertSameTokens(answer(two, prompt, List.of()), expected);
        assertThat(greedy(two, prompt)).isEqualTo(best(logits.getFirst()));
      }
      regions.forEach(DeviceMemory::close);
    }
  }

  private static int[] prompt() {
    ChatCase chat =
        ChatCase.all().stream()
            .filter(candidate -> candidate.name().equals("text_only"))
            .findFirst()
            .orElseThrow();
    return ReferenceVectors.ints(chat.json().get("input_ids"));
  }

  /**
   * Logits of the prompt's last position and of those after it; the likeliest tokens if none are
   * given.
   */
  private static List<float[]> answer(ModelRunner runner, int[] prompt, List<Integer> tokens) {
    List<float[]> logits = new ArrayList<>();
    int[] last = {prompt.length - 1};
    logits.add(runner.run(step(prompt, 0, last, new int[0])).logits()[0]);
    for (int i = 1; i < TOKENS; i++) {
      int token = tokens.isEmpty() ? best(logits.getLast()) : tokens.get(i - 1);
      int position = prompt.length + i - 1;
      StepInput step = step(new int[] {token}, position, new int[] {0}, new int[0]);
      logits.add(runner.run(step).logits()[0]);
    }
    return logits;
  }

  private static int greedy(ModelRunner runner, int[] prompt) {
    StepInput step = step(prompt, 0, new int[0], new int[] {prompt.length - 1});
    return runner.run(step).greedyIds()[0];
  }

  /** New positions of the only sequence, whose blocks are the cache's first. */
  private static StepInput step(int[] tokens, int position, int[] logitRows, int[] greedyRows) {
    int[] positions = IntStream.range(position, position + tokens.length).toArray();
    return new StepInput(
        tokens,
        positions,
        positions.clone(),
        new int[] {0, tokens.length},
        new int[] {position + tokens.length},
        new int[][] {IntStream.range(0, 64).toArray()},
        List.of(),
        logitRows,
        greedyRows,
        List.of());
  }

  /** Equal up to a token that one card itself finds hardly better than another. */
  private static void assertSameTokens(List<float[]> actual, List<float[]> expected) {
    for (int i = 0; i < TOKENS; i++) {
      float[] sorted = expected.get(i).clone();
      Arrays.sort(sorted);
      float margin = sorted[sorted.length - 1] - sorted[sorted.length - 2];
      float largest = Math.max(sorted[sorted.length - 1], -sorted[0]);
      if (best(actual.get(i)) != best(expected.get(i))) {
        assertThat(margin).as("token %d differs", i).isLessThan((float) MAX_ERROR * largest);
        return;
      }
    }
  }

  private static int best(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      best = logits[i] > logits[best] ? i : best;
    }
    return best;
  }

  private static double error(float[] actual, float[] expected) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(actual[i] - expected[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / norm);
  }
}
