package org.tessera.cli;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.config.CheckpointConfig;
import org.tessera.config.ModelConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Workspace;
import org.tessera.engine.Engine;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.EngineRequest;
import org.tessera.engine.GenerationListener;
import org.tessera.engine.GenerationResult;
import org.tessera.engine.RankRunner;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.Architecture;
import org.tessera.model.Architectures;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Rank;
import org.tessera.sampling.TokenChoice;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;
import org.tessera.weights.LoadProgress;
import org.tessera.weights.WeightSource;
import org.tessera.weights.Weights;

/**
 * Times a model through the engine that answers requests, so that everything an answer costs is in
 * the figure. Every measurement first runs until it has warmed up.
 */
final class Benchmark implements AutoCloseable {
  /**
   * What is measured.
   *
   * @param prefillTokens positions of each prompt whose prefill is timed
   * @param contextTokens positions before the tokens whose decoding is timed
   * @param batches how many answers are decoded at a time, each a measurement
   * @param tokens decoded for each answer
   * @param slices encoded in one go
   * @param warmUpSeconds before each measurement
   */
  record Work(
      List<Integer> prefillTokens,
      int contextTokens,
      List<Integer> batches,
      int tokens,
      int slices,
      double warmUpSeconds,
      int repetitions) {
    private int positions() {
      int decode = batches.stream().mapToInt(batch -> batch).max().orElse(1);
      int prefill = prefillTokens.stream().mapToInt(tokens -> tokens).max().orElse(1);
      return Math.max(prefill + 16, decode * (contextTokens + tokens + 33));
    }
  }

  private final ModelConfig config;
  private final Device device;
  private final DeviceMemory region;
  private final VisionLanguageModel model;
  private final Engine engine;
  private final SplittableRandom random = new SplittableRandom(1);
  private final Work work;

  /** Several figures of one thing. */
  record Figures(List<Double> values) {
    Figures {
      values = List.copyOf(values);
    }

    double median() {
      List<Double> sorted = values.stream().sorted().toList();
      int half = sorted.size() / 2;
      return sorted.size() % 2 == 1
          ? sorted.get(half)
          : (sorted.get(half - 1) + sorted.get(half)) / 2;
    }

    double highest() {
      return Collections.max(values);
    }

    double lowest() {
      return Collections.min(values);
    }
  }

  /**
   * @param weights stay open as long as this
   * @param dtype element type of the weight matrices in memory
   */
  Benchmark(
      CheckpointConfig checkpoint,
      WeightSource weights,
      DType dtype,
      Device device,
      LoadProgress progress,
      Work work) {
    this.config = checkpoint.model();
    this.device = device;
    this.work = work;
    Architecture architecture = Architectures.builtIn().find(config.architectures());
    region = device.allocateRegion();
    model =
        architecture.load(
            checkpoint, Weights.root(weights, device, region, dtype, progress), Rank.whole(device));
    EngineOptions options = EngineOptions.forTokens(work.positions(), device);
    engine = new Engine(new RankRunner(model, device, options), options);
  }

  /** Bytes a second at which all cores read memory. */
  Figures readBandwidth() {
    return repeat(device::measureReadBandwidth);
  }

  /**
   * Tokens a second of {@code batch} answers together, while all of them are being decoded: from
   * the first token of the last one to start to the end of the first one to end.
   */
  Figures decode(int batch) {
    return measure(() -> {
      List<Completion> answers =
          IntStream.range(0, batch)
              .mapToObj(_ -> start(work.contextTokens(), work.tokens() + 1))
              .toList();
      answers.forEach(answer -> answer.result.join());
      long from = answers.stream().mapToLong(answer -> answer.nanos.getFirst()).max().orElseThrow();
      long to = answers.stream().mapToLong(answer -> answer.nanos.getLast()).min().orElseThrow();
      long tokens =
          answers.stream()
              .flatMap(answer -> answer.nanos.stream())
              .filter(nanos -> nanos > from && nanos <= to)
              .count();
      return tokens / ((to - from) / 1e9);
    });
  }

  /** Seconds of the decoder over a prompt. */
  Figures prefill(int promptTokens) {
    return measure(() -> start(promptTokens, 1).result.join().prefillNanos() / 1e9);
  }

  /** Seconds of vision tower and resampler for slices of 448 x 448 pixels, patches included. */
  Figures vision() {
    int side = 448 / config.patchSize();
    int pixels = side * config.patchSize();
    byte[] rgb = new byte[3 * pixels * pixels];
    random.nextBytes(rgb);
    ProcessedSlice slice =
        new ProcessedSlice(new Image.Rgb("noise", pixels, pixels, rgb), new PatchGrid(side, side));
    List<ProcessedSlice> slices = Collections.nCopies(work.slices(), slice);
    VisionLanguageModel.Spec spec = model.spec();
    try (DeviceMemory memory = device.allocateRegion();
        Workspace workspace = new Workspace(device)) {
      Tensor out =
          memory.allocate(
              device.activationType(), slices.size() * spec.queryNum(), spec.hiddenSize());
      return measure(() -> {
        long start = System.nanoTime();
        model.encodeImages(slices, out, workspace);
        device.download(out.rows(0, 1)); // waits for what is still running
        return (System.nanoTime() - start) / 1e9;
      });
    }
  }

  /**
   * Operations of a prefill: two for each weight of the layers at each position and for each weight
   * of the head once, and what attention does over the positions before each one.
   */
  double prefillOperations(int positions) {
    double attention =
        4.0
            * config.numAttentionHeads()
            * config.headDim()
            * positions
            * (positions + 1.0)
            / 2
            * config.numHiddenLayers();
    double head = 2.0 * config.hiddenSize() * config.vocabSize();
    return 2.0 * layerElements() * positions + attention + head;
  }

  /** Bytes of weights that one step of decoding reads: all layers and the head. */
  double decodeBytes(DType dtype) {
    double head = (double) config.hiddenSize() * config.vocabSize();
    return (layerElements() + head) * dtype.bytes();
  }

  private double layerElements() {
    double hidden = config.hiddenSize();
    double queryWidth = (double) config.numAttentionHeads() * config.headDim();
    double keyValueWidth = (double) config.numKeyValueHeads() * config.headDim();
    double attention = hidden * (2 * queryWidth + 2 * keyValueWidth);
    double mlp = 3 * hidden * config.intermediateSize();
    return (attention + mlp) * config.numHiddenLayers();
  }

  private Figures measure(DoubleSupplier timed) {
    long start = System.nanoTime();
    while (System.nanoTime() - start < work.warmUpSeconds() * 1e9) {
      double unused = timed.getAsDouble();
    }
    return repeat(timed);
  }

  private Figures repeat(DoubleSupplier timed) {
    List<Double> values = new ArrayList<>();
    for (int i = 0; i < work.repetitions(); i++) {
      values.add(timed.getAsDouble());
    }
    return new Figures(values);
  }

  /** Every prompt is another one, so that none is in the cache already. */
  private Completion start(int promptTokens, int newTokens) {
    int[] prompt = random.ints(promptTokens, 1, config.vocabSize()).toArray();
    GenerationOptions options = GenerationOptions.greedy().withMaxNewTokens(newTokens);
    Completion completion = new Completion();
    engine.submit(new EngineRequest(prompt, List.of(), options, Set.of()), completion);
    return completion;
  }

  @Override
  public void close() {
    engine.close();
    region.close();
  }

  /** Waits for the end of a generation. */
  private static final class Completion implements GenerationListener {
    private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();

    /** When each token came; read once the result is there. */
    private final List<Long> nanos = new ArrayList<>();

    @Override
    public boolean onToken(TokenChoice choice) {
      nanos.add(System.nanoTime());
      return true;
    }

    @Override
    public void onFinished(GenerationResult finished) {
      result.complete(finished);
    }

    @Override
    public void onFailed(RuntimeException cause) {
      result.completeExceptionally(cause);
    }
  }
}
