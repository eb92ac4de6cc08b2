package org.tessera.cli;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.config.CheckpointConfig;
import org.tessera.config.ModelConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.engine.DeployedModel;
import org.tessera.engine.Engine;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.EngineRequest;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.engine.GenerationListener;
import org.tessera.engine.GenerationResult;
import org.tessera.engine.ModelRunner;
import org.tessera.engine.Placing.Placed;
import org.tessera.engine.Replicas;
import org.tessera.error.GenerationException;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.Architecture;
import org.tessera.model.Architectures;
import org.tessera.ops.Activation;
import org.tessera.plan.Deployment;
import org.tessera.plan.DeviceId;
import org.tessera.sampling.TokenChoice;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.LoadProgress;
import org.tessera.weights.WeightSource;

/**
 * Times a model through the engine that answers requests, so that everything an answer costs is in
 * the figure. Every measurement first runs until it has warmed up.
 */
final class Benchmark implements AutoCloseable {
  /** Rows and columns of the matrix whose product is timed, and how often it is made at a time. */
  private static final int PRODUCT_SIDE = 8192;

  private static final int PRODUCTS = 3;

  /**
   * What is measured.
   *
   * @param prefillTokens positions of each prompt whose prefill is timed
   * @param contextTokens positions before the tokens whose decoding is timed
   * @param batches how many answers are decoded at a time, each a measurement
   * @param tokens decoded for each answer
   * @param slices encoded in one go
   * @param pictureSide of a square picture whose first token is timed, in pixels; 0 for none
   * @param warmUpSeconds before each measurement
   */
  record Work(
      List<Integer> prefillTokens,
      int contextTokens,
      List<Integer> batches,
      int tokens,
      int slices,
      int pictureSide,
      double warmUpSeconds,
      int repetitions) {
    private int positions(int picturePositions) {
      int decode = batches.stream().mapToInt(batch -> batch).max().orElse(1);
      int prefill = prefillTokens.stream().mapToInt(tokens -> tokens).max().orElse(1);
      return Math.max(
          Math.max(prefill, picturePositions) + 16, decode * (contextTokens + tokens + 33));
    }
  }

  private final ModelConfig config;
  private final DeployedModel model;

  /** The first one, which stands for the others. */
  private final Device device;

  private final Deployment deployment;
  private final List<ModelRunner> runners;
  private final Replicas engines;
  private final SplittableRandom random = new SplittableRandom(1);
  private final Work work;
  private final BenchPicture picture;
  private long nextImagesId = Long.MIN_VALUE; // far from the engine's own

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
   * @param placed where the model runs
   * @param opener opens its devices, which are closed with this
   */
  Benchmark(
      CheckpointConfig checkpoint,
      WeightSource weights,
      DType dtype,
      Placed placed,
      Function<DeviceId, Device> opener,
      LoadProgress progress,
      Work work) {
    this.config = checkpoint.model();
    this.work = work;
    deployment = placed.deployment();
    picture = picture(checkpoint, work);
    Architecture architecture = Architectures.builtIn().find(config.architectures());
    model =
        DeployedModel.load(
            new DeployedModel.Source(
                architecture, checkpoint, weights, Optional.of(dtype), progress),
            deployment,
            opener);
    boolean done = false;
    try {
      device = model.devices().getFirst();
      EngineOptions options =
          model.engineOptions(OptionalInt.of(positions(checkpoint, work)), placed.room());
      runners = model.runners(options);
      engines = new Replicas(runners.stream().map(runner -> new Engine(runner, options)).toList());
      done = true;
    } finally {
      if (!done) {
        model.close();
      }
    }
  }

  private static BenchPicture picture(CheckpointConfig checkpoint, Work work) {
    return new BenchPicture(checkpoint, Math.max(1, work.pictureSide()));
  }

  /** Positions of the cache that the measurements take. */
  static int positions(CheckpointConfig checkpoint, Work work) {
    return work.positions(work.pictureSide() == 0 ? 0 : picture(checkpoint, work).promptTokens());
  }

  /** The makers' names, each once with how many there are. */
  String deviceNames() {
    Map<String, Map<String, Long>> ids = new TreeMap<>();
    model
        .devices()
        .forEach(opened ->
            ids.computeIfAbsent(opened.info().name(), name -> new TreeMap<>())
                .merge(opened.info().id(), 1L, Long::sum));
    return ids.entrySet().stream()
        .map(entry ->
            entry.getValue().size() == 1
                ? entry.getKey()
                : entry.getValue().size() + " x " + entry.getKey())
        .collect(Collectors.joining(" and "));
  }

  /** Devices that read the weights of a layer at the same time. */
  int ranks() {
    return deployment.replicas().getFirst().stages().stream()
        .mapToInt(stage -> distinct(stage.ranks().stream()))
        .max()
        .orElseThrow();
  }

  /** Devices that compute at the same time. */
  int devices() {
    return distinct(deployment.replicas().stream().flatMap(replica -> replica.devices().stream()));
  }

  private static int distinct(Stream<DeviceId> devices) {
    return (int) devices.distinct().count();
  }

  /** What the model takes, whatever it runs on. */
  ModelCosts costs() {
    return new ModelCosts(config);
  }

  /** Bytes a second at which all cores read memory. */
  Figures readBandwidth() {
    return repeat(device::measureReadBandwidth);
  }

  /**
   * Operations a second of one large product with bf16 weights, which no part of a model passes:
   * the bound of what memory does not bound.
   */
  Figures productRate() {
    int rows = Math.min(device.prefillRows(), PRODUCT_SIDE);
    int columns = PRODUCT_SIDE;
    try (DeviceMemory memory = device.allocateRegion();
        Arena host = Arena.ofShared()) {
      MemorySegment bytes = host.allocate((long) columns * columns * DType.BF16.bytes(), 64);
      fillAtRandom(bytes);
      Matrix w =
          device.place(
              List.of(Tensor.of(DType.BF16, columns, columns, bytes)),
              device.weightType(DType.BF16),
              memory);
      Tensor x = memory.allocate(device.activationType(), rows, columns);
      Tensor out = memory.allocate(device.activationType(), rows, columns);
      for (int row = 0; row < rows; row++) {
        device.upload(numbers(columns), x.rows(row, row + 1));
      }
      return measure(() -> {
        long start = System.nanoTime();
        for (int i = 0; i < PRODUCTS; i++) {
          device.ops().linear(x, w, null, Activation.NONE, out);
        }
        device.download(out.rows(0, 1)); // waits for what is still running
        return 2.0 * PRODUCTS * rows * columns * columns / ((System.nanoTime() - start) / 1e9);
      });
    }
  }

  /**
   * Tokens a second of {@code batch} answers together, while all of them are being decoded: from
   * the first token of the last one to start to the end of the first one to end. Their prompts are
   * in the cache already: otherwise the first would end while the last are still being read.
   */
  Figures decode(int batch) {
    return measure(() -> {
      List<int[]> prompts =
          Stream.generate(() -> prompt(work.contextTokens())).limit(batch).toList();
      answer(prompts, 1);
      List<Completion> answers = answer(prompts, work.tokens() + 1);
      long from = answers.stream().mapToLong(answer -> answer.nanos.getFirst()).max().orElseThrow();
      long to = answers.stream().mapToLong(answer -> answer.nanos.getLast()).min().orElseThrow();
      if (to <= from) {
        throw new GenerationException(
            "the first of %d answers ended before the last began: give --tokens more than %d"
                .formatted(batch, work.tokens()));
      }
      long tokens =
          answers.stream()
              .flatMap(answer -> answer.nanos.stream())
              .filter(nanos -> nanos > from && nanos <= to)
              .count();
      return tokens / ((to - from) / 1e9);
    });
  }

  /** Answers to all prompts together, when they have ended. */
  private List<Completion> answer(List<int[]> prompts, int newTokens) {
    List<Completion> answers =
        prompts.stream().map(prompt -> submit(prompt, List.of(), newTokens)).toList();
    answers.forEach(answer -> answer.result.join());
    return answers;
  }

  /** Seconds of the decoder over a prompt. */
  Figures prefill(int promptTokens) {
    return measure(
        () -> submit(prompt(promptTokens), List.of(), 1).result.join().prefillNanos() / 1e9);
  }

  /**
   * Seconds from a picture's file to the first token of an answer about it.
   *
   * @param preparation filled with the part that the processor takes before the engine's turn
   */
  Figures firstToken(List<Double> preparation) {
    Figures seconds =
        measure(() -> {
          byte[] file = picture.file();
          long start = System.nanoTime();
          BenchPicture.Prompt prompt = picture.prepare(file);
          long prepared = System.nanoTime();
          Completion completion = submit(prompt.ids(), prompt.images(), 1);
          completion.result.join();
          preparation.add((prepared - start) / 1e9);
          return (completion.nanos.getFirst() - start) / 1e9;
        });
    preparation.subList(0, preparation.size() - work.repetitions()).clear();
    return seconds;
  }

  /** Slices of the picture of {@link #firstToken}. */
  int pictureSlices() {
    return picture.slices();
  }

  /** Positions of its prompt. */
  int pictureTokens() {
    return picture.promptTokens();
  }

  /** Seconds of vision tower and resampler for slices of 448 x 448 pixels, patches included. */
  Figures vision() {
    int side = ModelCosts.SLICE_SIDE / config.patchSize();
    int pixels = side * config.patchSize();
    byte[] rgb = new byte[3 * pixels * pixels];
    random.nextBytes(rgb);
    ProcessedSlice slice =
        new ProcessedSlice(new Image.Rgb("noise", pixels, pixels, rgb), new PatchGrid(side, side));
    List<ProcessedSlice> slices = Collections.nCopies(work.slices(), slice);
    // No answer is under way, so that the engine's runner may be called from here.
    ModelRunner runner = runners.getFirst();
    int rows = slices.size() * runner.spec().queryNum();
    try (DeviceMemory memory = device.allocateRegion()) {
      Tensor any = memory.allocate(DType.F32, 1, 1);
      return measure(() -> {
        long start = System.nanoTime();
        long imagesId = nextImagesId++;
        runner.encodeImages(imagesId, slices, 0, rows);
        device.download(any); // waits for what is still running
        double seconds = (System.nanoTime() - start) / 1e9;
        runner.releaseImages(imagesId);
        return seconds;
      });
    }
  }

  /** Numbers of bf16 between a half and two, of either sign. */
  private void fillAtRandom(MemorySegment bytes) {
    for (long at = 0; at < bytes.byteSize(); at += Long.BYTES) {
      long bits = (random.nextLong() & 0x80ff_80ff_80ff_80ffL) | 0x3f00_3f00_3f00_3f00L;
      bytes.set(ValueLayout.JAVA_LONG, at, bits);
    }
  }

  private float[] numbers(int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) random.nextDouble(-1, 1);
    }
    return numbers;
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
  private int[] prompt(int tokens) {
    return random.ints(tokens, 1, config.vocabSize()).toArray();
  }

  private Completion submit(int[] prompt, List<ImageInput> images, int newTokens) {
    GenerationOptions options = GenerationOptions.greedy().withMaxNewTokens(newTokens);
    Completion completion = new Completion();
    engines.submit(new EngineRequest(prompt, images, options, Set.of()), completion);
    return completion;
  }

  @Override
  public void close() {
    engines.close();
    model.close();
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
