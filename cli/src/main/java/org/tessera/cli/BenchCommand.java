package org.tessera.cli;

import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tessera.cli.Benchmark.Figures;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Devices;
import org.tessera.model.Architectures;
import org.tessera.tensor.DType;
import org.tessera.weights.RandomWeights;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.WeightSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

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

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:0",
      defaultValue = "auto",
      description = "Where the model runs (default: ${DEFAULT-VALUE}).")
  private String device = "auto";

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
      description = "Tokens decoded in one repetition (default: ${DEFAULT-VALUE}).")
  private int tokens = 64;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "9",
      description = "Of each measurement (default: ${DEFAULT-VALUE}).")
  private int repetitions = 9;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  private final Output output;
  private final Installation installation;

  BenchCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() {
    if (model.isPresent() && shape.isPresent()) {
      throw new ParameterException(spec.commandLine(), "give --model or --shape, not both");
    }
    if (tokens < 1 || tokens > 4096 || repetitions < 1 || repetitions > 1000) {
      throw new ParameterException(
          spec.commandLine(), "--tokens must be from 1 to 4096 and --repetitions from 1 to 1000");
    }
    if (shape.isPresent()) {
      CheckpointConfig config = shape.get().config();
      DType type = dtype.dtype().orElse(config.model().torchDtype().orElse(DType.BF16));
      try (WeightSource weights = new RandomWeights(ModelShape.tensors(config), type, SEED)) {
        run(shape.get().toString(), config, weights, type, shape.get().hasVision());
      }
    } else {
      Path checkpoint = model.orElseGet(installation::requireDemoModel);
      CheckpointConfig config = CheckpointConfig.read(checkpoint, Architectures.builtIn().names());
      DType type = dtype.dtype().orElse(config.model().torchDtype().orElse(DType.BF16));
      try (WeightSource weights = SafetensorsCheckpoint.open(checkpoint)) {
        run(String.valueOf(checkpoint.getFileName()), config, weights, type, true);
      }
    }
    return 0;
  }

  private void run(
      String name, CheckpointConfig config, WeightSource weights, DType type, boolean vision) {
    try (Device opened = Devices.probe().open(device);
        LoadingBar bar = new LoadingBar(output);
        Benchmark benchmark =
            new Benchmark(config, weights, type, opened, bar, tokens, repetitions)) {
      bar.close();
      Figures bandwidth = benchmark.readBandwidth();
      Figures decode = benchmark.decode(tokens);
      Figures prefill = benchmark.prefill();
      Optional<Figures> slice = vision ? Optional.of(benchmark.vision()) : Optional.empty();
      Report report =
          new Report(
              name,
              machine(opened, type),
              bandwidth,
              decode,
              benchmark.decodeBytes(type),
              prefill,
              benchmark.prefillOperations(),
              slice);
      output.out().println(json ? report.toJson() : report.toTable());
    }
  }

  private static String machine(Device device, DType type) {
    return "%s, %d processors, %s weights, Java %s, %s"
        .formatted(
            device.info().name(),
            Runtime.getRuntime().availableProcessors(),
            type.name().toLowerCase(Locale.ROOT),
            Runtime.version(),
            LocalDate.now(ZoneOffset.UTC));
  }

  /**
   * What was measured.
   *
   * @param bandwidth bytes a second
   * @param decode tokens a second
   * @param decodeBytes bytes of weights that a token reads
   * @param prefill seconds
   * @param prefillOperations of one prefill
   * @param vision seconds a slice
   */
  private record Report(
      String name,
      String machine,
      Figures bandwidth,
      Figures decode,
      double decodeBytes,
      Figures prefill,
      double prefillOperations,
      Optional<Figures> vision) {

    /** How much of the measured bandwidth decoding uses, in percent. */
    private double bandwidthPercent(double tokensPerSecond) {
      return 100 * tokensPerSecond * decodeBytes / bandwidth.highest();
    }

    private double gigaflops(double seconds) {
      return prefillOperations / seconds / 1e9;
    }

    String toTable() {
      StringBuilder table = new StringBuilder();
      line(table, "%s on %s", name, machine);
      line(
          table,
          "memory read   %8.1f GB/s     best %.1f",
          bandwidth.median() / 1e9,
          bandwidth.highest() / 1e9);
      line(
          table,
          "decode        %8.2f tokens/s best %.2f; %.3f GB of weights a token, %.0f %% of the"
              + " memory's bandwidth (best %.0f %%)",
          decode.median(),
          decode.highest(),
          decodeBytes / 1e9,
          bandwidthPercent(decode.median()),
          bandwidthPercent(decode.highest()));
      line(
          table,
          "prefill %4d  %8.1f GFLOP/s  best %.1f; %.0f ms",
          Benchmark.PREFILL_TOKENS,
          gigaflops(prefill.median()),
          gigaflops(prefill.lowest()),
          prefill.median() * 1000);
      vision.ifPresent(figures ->
          line(
              table,
              "vision        %8.1f ms a slice, best %.1f",
              figures.median() * 1000,
              figures.lowest() * 1000));
      return table.toString().stripTrailing();
    }

    String toJson() {
      ObjectNode json = JsonMapper.shared().createObjectNode();
      json.put("model", name);
      json.put("machine", machine);
      put(json, "memory_read_gb_per_second", bandwidth.median() / 1e9, bandwidth.highest() / 1e9);
      put(json, "decode_tokens_per_second", decode.median(), decode.highest());
      json.put("decode_weight_bytes_per_token", (long) decodeBytes);
      put(
          json,
          "decode_percent_of_memory_read",
          bandwidthPercent(decode.median()),
          bandwidthPercent(decode.highest()));
      json.put("prefill_tokens", Benchmark.PREFILL_TOKENS);
      put(json, "prefill_gflops", gigaflops(prefill.median()), gigaflops(prefill.lowest()));
      put(json, "prefill_ms", prefill.median() * 1000, prefill.lowest() * 1000);
      vision.ifPresent(figures ->
          put(json, "vision_ms_per_slice", figures.median() * 1000, figures.lowest() * 1000));
      return json.toString();
    }

    private static void put(ObjectNode json, String name, double median, double best) {
      json.putObject(name).put("median", median).put("best", best);
    }

    private static void line(StringBuilder table, String format, Object... values) {
      table.append(String.format(Locale.ROOT, format, values)).append(System.lineSeparator());
    }
  }
}
