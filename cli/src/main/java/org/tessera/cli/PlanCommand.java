package org.tessera.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tessera.config.ModelConfig;
import org.tessera.device.Backend.Availability;
import org.tessera.device.Devices;
import org.tessera.engine.EngineOptions;
import org.tessera.model.Architectures;
import org.tessera.plan.ByteSize;
import org.tessera.plan.DeviceBudget;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.MaxMemory;
import org.tessera.plan.ModelSizes;
import org.tessera.plan.Plan;
import org.tessera.plan.PlanOptions;
import org.tessera.plan.PlanRequest;
import org.tessera.plan.PlanService;
import org.tessera.tensor.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.json.JsonMapper;

/** {@code tessera plan}: where each part of a model would lie. Reads config.json alone. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    customSynopsis = {
      "tessera plan [--model DIR] [--device-map auto|balanced|balanced_low_0|sequential|FILE]",
      "             [--max-memory 0=10GiB,cpu=30GiB] [--no-split A,B]",
      "             [--compat accelerate] [--json] [OPTIONS]"
    },
    description = {
      "Shows where each part of a model would lie and what that takes. Reads config.json alone.",
      ""
    })
final class PlanCommand implements Callable<Integer> {
  /** As much as Tessera gives a conversation where memory affords it. */
  private static final int DEFAULT_CONTEXT_TOKENS = 16_384;

  /** Whose plan to give. */
  enum Compat {
    ACCELERATE;

    /** As the command line writes it: picocli reads and shows this. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "The checkpoint's directory; the project's demo model where it is left out.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--device-map",
      paramLabel = "auto|balanced|balanced_low_0|sequential|DEVICE|FILE",
      defaultValue = "auto",
      description =
          "A strategy, a device for everything, or a JSON file of module prefixes to devices"
              + " (default: ${DEFAULT-VALUE}).")
  private String deviceMap = "auto";

  @Option(
      names = "--max-memory",
      paramLabel = "0=10GiB,cpu=30GiB",
      description = "Bytes of the devices that may be used; what is free where it is left out.")
  private Optional<String> maxMemory = Optional.empty();

  @Option(
      names = "--no-split",
      paramLabel = "A,B",
      description = "Classes whose modules the strategies of accelerate keep whole.")
  private Optional<String> noSplit = Optional.empty();

  @Option(
      names = "--compat",
      paramLabel = "accelerate",
      description = "Exactly what accelerate 1.15 gives, which counts nothing but weights.")
  private Optional<Compat> compat = Optional.empty();

  @Option(
      names = "--dtype",
      paramLabel = "auto|bf16|fp16|fp32",
      defaultValue = "auto",
      description = "Element type of the weights in memory (default: the checkpoint's).")
  private DTypeName dtype = DTypeName.AUTO;

  @Option(
      names = "--context-tokens",
      paramLabel = "N",
      description = "Tokens of prompt and answer to make room for (16384, or the model's most).")
  private Optional<Integer> contextTokens = Optional.empty();

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  private final Output output;
  private final Installation installation;

  PlanCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() {
    ModelConfig config =
        ModelConfig.read(
            model.orElseGet(installation::requireDemoModel), Architectures.builtIn().names());
    PlanOptions options =
        new PlanOptions(
            DeviceMapChoice.parse(deviceMap),
            maxMemory.map(MaxMemory::parse),
            noSplit.map(names -> Arrays.stream(names.split(",")).map(String::strip).toList()),
            compat.isPresent());
    ModelSizes sizes = ModelSizes.of(config);
    List<DeviceBudget> detected = maxMemory.isPresent() ? List.of() : detected();
    Plan plan = PlanService.plan(sizes, options, detected, request(config, sizes));
    if (json) {
      output.out().println(JsonMapper.shared().writeValueAsString(plan.toJson()));
    } else {
      print(plan);
    }
    return 0;
  }

  private PlanRequest request(ModelConfig config, ModelSizes sizes) {
    int context =
        contextTokens.orElse(Math.min(config.maxPositionEmbeddings(), DEFAULT_CONTEXT_TOKENS));
    DType type = dtype.dtype().orElse(sizes.dtype());
    EngineOptions engine = EngineOptions.forTokens(Math.max(context, 1));
    return new PlanRequest(context, 1, engine.visionSlices(), engine.prefillRows(), type);
  }

  private static List<DeviceBudget> detected() {
    return Devices.probe().availability().values().stream()
        .filter(Availability.Available.class::isInstance)
        .flatMap(available -> ((Availability.Available) available).devices().stream())
        .map(DeviceBudget::of)
        .toList();
  }

  private void print(Plan plan) {
    output.out().println(plan.reason());
    for (Plan.PerDevice device : plan.breakdown()) {
      output
          .out()
          .printf(
              "  %-4s %s: weights %s, keys and values %s, activations %s, vision %s, runtime %s%n",
              device.device(),
              ByteSize.format(device.totalBytes()),
              ByteSize.format(device.weightBytes()),
              ByteSize.format(device.kvBytes()),
              ByteSize.format(device.activationBytes()),
              ByteSize.format(device.visionPeakBytes()),
              ByteSize.format(device.runtimeBytes()));
    }
    plan.deviceMap()
        .forEach((module, device) ->
            output.out().printf("  %s -> %s%n", module.isEmpty() ? "everything" : module, device));
    plan.notes().forEach(note -> output.out().println("note: " + note));
  }
}
