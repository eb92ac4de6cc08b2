package org.tessera.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.ModelRunner;
import org.tessera.engine.RankRunner;
import org.tessera.engine.StepInput;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.Architectures;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Rank;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;
import org.tessera.weights.RandomWeights;
import org.tessera.weights.WeightSource;
import org.tessera.weights.Weights;

/**
 * Runs steps of MiniCPM-V 2.6 in its full shape, with random weights, on the first GPU: for each
 * work it warms up, prints what a step takes on the host's clock and then runs one more, between
 * the profiler's start and stop. The steps are those of the model's runner: an engine's own time
 * between them is not in the figures.
 */
public final class ProfileBenchmark {
  private static final int DECODER_LAYERS = 28;
  private static final int VISION_LAYERS = 27;
  private static final long SEED = 20_260_101;

  /** Positions before a token that is decoded. */
  private static final int CONTEXT = 700;

  /** Positions of the cache that an answer has to itself: as many as its recorded step is for. */
  private static final int ROOM = 1024;

  private static final int WARM_UP_STEPS = 5;
  private static final double WARM_UP_SECONDS = 1;
  private static final int STEPS = 10;
  private static final long IMAGES = 1;

  private ProfileBenchmark() {}

  /** What is run, in units of which so many are computed in a step. */
  private enum Kind {
    /** Answers, of which each gets its next token. */
    DECODE(64),
    /** Positions of one prompt. */
    PREFILL(8192),
    /** Slices, from pixels to features. */
    VISION(40);

    private final int most;

    Kind(int most) {
      this.most = most;
    }
  }

  private record Work(Kind kind, int count) {
    static Work of(String name) {
      for (Kind kind : Kind.values()) {
        String prefix = kind.name().toLowerCase(Locale.ROOT) + ":";
        if (name.startsWith(prefix)) {
          int count = Integer.parseInt(name.substring(prefix.length()));
          if (count >= 1 && count <= kind.most) {
            return new Work(kind, count);
          }
        }
      }
      throw new IllegalArgumentException(
          "%s is no work: decode:ANSWERS up to 64, prefill:POSITIONS up to 8192, vision:SLICES up to 40"
              .formatted(name));
    }

    /** Of the cache. */
    int positions() {
      return switch (kind) {
        case DECODE -> count * ROOM;
        case PREFILL -> Math.ceilDiv(count, ROOM) * ROOM;
        case VISION -> ROOM;
      };
    }

    /**
     * A step that can be repeated; what it finds in the cache is computed here.
     *
     * @param any downloaded where a step would not wait for its end
     */
    Runnable prepare(ModelRunner runner, Device device, Tensor any, int blockRows) {
      return switch (kind) {
        case DECODE -> {
          for (int answer = 0; answer < count; answer++) {
            runner.run(step(answer, 1, 0, CONTEXT, blockRows));
          }
          StepInput next = step(0, count, CONTEXT, CONTEXT + 1, blockRows);
          yield () -> runner.run(next);
        }
        case PREFILL -> {
          StepInput prompt = step(0, 1, 0, count, blockRows);
          yield () -> runner.run(prompt);
        }
        case VISION -> {
          List<ProcessedSlice> slices = Collections.nCopies(count, FullShape.noise());
          yield () -> {
            runner.encodeImages(IMAGES, slices, 0, count * FullShape.QUERIES);
            device.download(any); // waits for what is still running
            runner.releaseImages(IMAGES);
          };
        }
      };
    }
  }

  /**
   * One line for each work, named as in {@code decode:16 prefill:8192 vision:10}; before them
   * {@code --no-graphs} for steps of decoding that are issued kernel by kernel.
   */
  public static void main(String[] arguments) {
    List<String> names = new ArrayList<>(List.of(arguments));
    boolean graphs = !names.remove("--no-graphs");
    List<Work> works = names.stream().map(Work::of).toList();
    int positions = works.stream().mapToInt(Work::positions).max().orElse(ROOM);
    CheckpointConfig config = FullShape.config(DECODER_LAYERS, VISION_LAYERS);
    try (CudaDevice device = (CudaDevice) Devices.probe().open("cuda:0");
        WeightSource weights = new RandomWeights(FullShape.tensors(config), DType.BF16, SEED);
        DeviceMemory region = device.allocateRegion()) {
      if (!graphs) {
        device.stopRecording();
      }
      VisionLanguageModel model =
          Architectures.builtIn()
              .find(config.model().architectures())
              .load(config, Weights.root(weights, device, region, DType.BF16), Rank.whole(device));
      EngineOptions options = EngineOptions.forTokens(positions, device);
      try (RankRunner runner = new RankRunner(model, device, options)) {
        Profiler profiler = new Profiler(device);
        Tensor any = region.allocate(DType.F32, 1, 1);
        for (int i = 0; i < works.size(); i++) {
          Runnable step = works.get(i).prepare(runner, device, any, options.kvBlockRows());
          measure(i + 1, names.get(i), step);
          profiler.record(i + 1, step);
        }
      }
    }
  }

  private static void measure(int number, String name, Runnable step) {
    long start = System.nanoTime();
    int steps = 0;
    while (steps < WARM_UP_STEPS || System.nanoTime() - start < WARM_UP_SECONDS * 1e9) {
      step.run();
      steps++;
    }
    double[] micros = new double[STEPS];
    for (int i = 0; i < STEPS; i++) {
      long before = System.nanoTime();
      step.run();
      micros[i] = (System.nanoTime() - before) / 1e3;
    }
    Arrays.sort(micros);
    System.out.printf(
        Locale.ROOT,
        "work %d %s: %.1f µs a step, best %.1f%n",
        number,
        name,
        (micros[STEPS / 2 - 1] + micros[STEPS / 2]) / 2,
        micros[0]);
    System.out.flush(); // before what may end the process
  }

  /**
   * Positions {@code from} to {@code to} of sequences that follow one another, each in its own room
   * of the cache; the likeliest token after each sequence is wanted.
   */
  private static StepInput step(int firstSequence, int sequences, int from, int to, int blockRows) {
    int length = to - from;
    int rows = sequences * length;
    int roomBlocks = ROOM / blockRows;
    int[] positions = IntStream.range(0, rows).map(row -> from + row % length).toArray();
    return new StepInput(
        new SplittableRandom(firstSequence).ints(rows, 1, FullShape.VOCABULARY).toArray(),
        positions,
        IntStream.range(0, rows)
            .map(row -> (firstSequence + row / length) * ROOM + positions[row])
            .toArray(),
        IntStream.rangeClosed(0, sequences).map(i -> i * length).toArray(),
        IntStream.range(0, sequences).map(_ -> to).toArray(),
        IntStream.range(firstSequence, firstSequence + sequences)
            .mapToObj(i ->
                IntStream.range(0, Math.ceilDiv(to, blockRows))
                    .map(block -> i * roomBlocks + block)
                    .toArray())
            .toArray(int[][]::new),
        List.of(),
        new int[0],
        IntStream.rangeClosed(1, sequences).map(i -> i * length - 1).toArray(),
        List.of());
  }
}
