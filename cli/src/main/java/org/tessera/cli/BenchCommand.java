package org.tessera.cli;

import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import org.tessera.api.LoadOptions;
import org.tessera.api.ModelInfo;
import org.tessera.cli.Benchmark.Work;
import org.tessera.cli.CrowdReport.Crowd;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Devices;
import org.tessera.engine.PlacementText;
import org.tessera.engine.Placing;
import org.tessera.engine.Placing.Placed;
import org.tessera.model.Architectures;
import org.tessera.tensor.DType;
import org.tessera.weights.RandomWeights;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.WeightSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code tessera bench}: how fast a model runs here, beside what the memory allows. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures decoding, prefill and vision on this machine, in one run with the speed at which"
          + " memory can be read. A --shape has random weights and needs no checkpoint.",
      ""
    })
final class BenchCommand implements Callable<Integer> {
  private static final long SEED = 20_260_101;
  private static final int MAX_CLIENTS = 512;
  private static final int REPETITIONS = 9;

  // NullAway: picocli sets it before anything runs.
  @SuppressWarnings("NullAway.Init")
  @Spec
  private CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "A checkpoint; the project's demo model where --shape is left out too.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--shape",
      paramLabel = "minicpm-v-2.6|qwen2-0.5b",
      description = "A model of this shape with random weights.")
  private Optional<ModelShape> shape = Optional.empty();

  @Mixin private final DeviceArguments devices = new DeviceArguments();

  @Option(
      names = "--dtype",
      paramLabel = "auto|bf16|fp16|fp32",
      defaultValue = "auto",
      description = "Element type of the weights in memory (default: the checkpoint's).")
  private DTypeName dtype = DTypeName.AUTO;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "64",
      description = "Tokens decoded for each answer (default: ${DEFAULT-VALUE}).")
  private int tokens = 64;

  @Option(
      names = "--context",
      paramLabel = "N",
      defaultValue = "16",
      description = "Positions before the tokens that are decoded (default: ${DEFAULT-VALUE}).")
  private int context = 16;

  @Option(
      names = "--batch",
      paramLabel = "N",
      split = ",",
      defaultValue = "1",
      description = "Answers decoded at a time, each a measurement (default: ${DEFAULT-VALUE}).")
  private List<Integer> batches = List.of(1);

  @Option(
      names = "--prefill",
      paramLabel = "N",
      split = ",",
      defaultValue = "512",
      description = "Positions of prompts whose prefill is timed (default: ${DEFAULT-VALUE}).")
  private List<Integer> prefillTokens = List.of(512);

  @Option(
      names = "--slices",
      paramLabel = "N",
      defaultValue = "1",
      description = "Slices of 448 x 448 pixels encoded in one go (default: ${DEFAULT-VALUE}).")
  private int slices = 1;

  @Option(
      names = "--picture",
      paramLabel = "PIXELS",
      description =
          "Side of a square JPEG picture: the time from its file to the first token of an answer.")
  private Optional<Integer> pictureSide = Optional.empty();

  @Option(
      names = "--clients",
      paramLabel = "N",
      split = ",",
      description =
          "Measure only crowds: so many clients who ask at once, each about a --picture of its own"
              + " and for --tokens; of the library, then of a server before it.")
  private List<Integer> clients = List.of();

  @Option(
      names = "--write",
      paramLabel = "DIR",
      description =
          "Write the random weights of --shape there first, a directory that is made, and load the"
              + " model from it.")
  private Optional<Path> write = Optional.empty();

  @Option(
      names = "--warm-up",
      paramLabel = "SECONDS",
      defaultValue = "8",
      description = "Before each measurement (default: ${DEFAULT-VALUE}).")
  private double warmUpSeconds = 8;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      description = "Of each measurement (default: 9, of crowds 1).")
  private Optional<Integer> repetitions = Optional.empty();

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  private final Output output;
  private final Installation installation;

  BenchCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() throws Exception {
    if (model.isPresent() && shape.isPresent()) {
      throw new ParameterException(spec.commandLine(), "give --model or --shape, not both");
    }
    if (write.isPresent() && shape.isEmpty()) {
      throw new ParameterException(spec.commandLine(), "--write needs the --shape to be written");
    }
    if (!clients.isEmpty() && pictureSide.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), "--clients needs the side of each client's --picture");
    }
    if (!clients.isEmpty() && shape.isPresent() && write.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), "--clients with --shape needs --write: a server loads a checkpoint");
    }
    requireRange("--clients", clients, MAX_CLIENTS);
    requireRange("--picture", pictureSide.stream().toList(), 1 << 14);
    requireRange("--tokens", List.of(tokens), 4096);
    requireRange("--context", List.of(context), 1 << 20);
    requireRange("--batch", batches, 1024);
    requireRange("--prefill", prefillTokens, 1 << 20);
    requireRange("--slices", List.of(slices), 1000);
    requireRange("--repetitions", repetitions.stream().toList(), 1000);
    if (shape.isPresent()) {
      CheckpointConfig config = shape.get().config();
      DType type = dtype.dtype().orElse(config.model().torchDtype().orElse(DType.BF16));
      if (write.isPresent()) {
        shape.get().write(write.get(), type, SEED);
        runCheckpoint(write.get(), shape.get().hasVision());
        return 0;
      }
      try (WeightSource weights = new RandomWeights(ModelShape.tensors(config), type, SEED)) {
        run(shape.get().toString(), config, weights, type, shape.get().hasVision());
      }
    } else {
      runCheckpoint(model.orElseGet(installation::requireDemoModel), true);
    }
    return 0;
  }

  private void runCheckpoint(Path checkpoint, boolean vision) throws Exception {
    if (!clients.isEmpty()) {
      runCrowds(checkpoint);
      return;
    }
    CheckpointConfig config = CheckpointConfig.read(checkpoint, Architectures.builtIn().names());
    DType type = dtype.dtype().orElse(config.model().torchDtype().orElse(DType.BF16));
    try (WeightSource weights = SafetensorsCheckpoint.open(checkpoint)) {
      run(String.valueOf(checkpoint.getFileName()), config, weights, type, vision);
    }
  }

  private void runCrowds(Path checkpoint) throws Exception {
    CrowdBenchmark.Work work =
        new CrowdBenchmark.Work(
            clients, pictureSide.orElseThrow(), tokens, warmUpSeconds, repetitions.orElse(1));
    CheckpointConfig config = CheckpointConfig.read(checkpoint, Architectures.builtIn().names());
    DType type = dtype.dtype().orElse(config.model().torchDtype().orElse(DType.BF16));
    try (LoadingBar bar = new LoadingBar(output)) {
      LoadOptions load =
          LoadOptions.defaults()
              .withDevices(devices.toDeviceOptions())
              .withDtype(type)
              .withProgress(bar);
      try (CrowdBenchmark benchmark = new CrowdBenchmark(checkpoint, load, work)) {
        bar.close();
        ModelInfo info = benchmark.tessera().info();
        CrowdReport report =
            new CrowdReport(
                info.name(),
                machine(info.deviceName(), type),
                info.placement(),
                info.loadMillis() / 1000,
                info.contextTokens(),
                work.pictureSide(),
                benchmark.slices(),
                benchmark.promptTokens(),
                tokens);
        if (json) {
          output.out().println(report.toJson(benchmark.measure(_ -> {})));
        } else {
          // As they come: a crowd may take minutes.
          printNow(report.head());
          List<Crowd> unused = benchmark.measure(crowd -> printNow(CrowdReport.lines(crowd)));
        }
      }
    }
  }

  private void printNow(String lines) {
    output.out().println(lines);
    output.out().flush();
  }

  private void requireRange(String option, List<Integer> values, int most) {
    for (int value : values) {
      if (value < 1 || value > most) {
        throw new ParameterException(
            spec.commandLine(), "%s must be from 1 to %d".formatted(option, most));
      }
    }
  }

  private void run(
      String name, CheckpointConfig config, WeightSource weights, DType type, boolean vision) {
    Work work =
        new Work(
            prefillTokens,
            context,
            batches,
            tokens,
            slices,
            pictureSide.orElse(0),
            warmUpSeconds,
            repetitions.orElse(REPETITIONS));
    Placing placing = new Placing(Devices.probe());
    Placed placed =
        placing.place(
            devices.toDeviceOptions(),
            OptionalInt.of(Benchmark.positions(config, work)),
            Optional.of(type),
            config.model());
    try (LoadingBar bar = new LoadingBar(output)) {
      OptionalLong memoryBefore = ResidentMemory.bytes();
      long loadStart = System.nanoTime();
      try (Benchmark benchmark =
          new Benchmark(config, weights, type, placed, placing::open, bar, work)) {
        BenchReport.Loading loading =
            new BenchReport.Loading(
                (System.nanoTime() - loadStart) / 1e9, weights.totalBytes(), growth(memoryBefore));
        bar.close();
        String placement = new PlacementText(placing::name).line(placed.deployment());
        BenchReport report =
            BenchReport.measure(
                name,
                machine(benchmark.deviceNames(), type),
                placement,
                loading,
                benchmark,
                work,
                type,
                vision);
        output.out().println(json ? report.toJson() : report.toTable());
      }
    }
  }

  private static OptionalLong growth(OptionalLong before) {
    OptionalLong now = ResidentMemory.bytes();
    return before.isPresent() && now.isPresent()
        ? OptionalLong.of(now.getAsLong() - before.getAsLong())
        : OptionalLong.empty();
  }

  private static String machine(String devices, DType type) {
    return "%s, %d processors, %s weights, Java %s, %s"
        .formatted(
            devices,
            Runtime.getRuntime().availableProcessors(),
            type.name().toLowerCase(Locale.ROOT),
            Runtime.version(),
            LocalDate.now(ZoneOffset.UTC));
  }
}
