package org.tessera.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tessera.config.ModelConfig;
import org.tessera.device.Devices;
import org.tessera.model.Architectures;
import org.tessera.plan.DeviceBudget;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.FittedPlan;
import org.tessera.plan.MachineSpec;
import org.tessera.plan.MaxMemory;
import org.tessera.plan.ModelSizes;
import org.tessera.plan.Plan;
import org.tessera.plan.PlanOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code tessera plan}: where each part of a model would lie. Reads config.json alone. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    customSynopsis = {
      "tessera plan [--model DIR | --shape NAME] [--gpus 4x24GiB@1008GB/s] [--batch N]",
      "             [--device-map auto|balanced|balanced_low_0|sequential|FILE]",
      "             [--max-memory 0=10GiB,cpu=30GiB] [--tensor-parallel N] [--replicas N]",
      "             [--no-split A,B] [--compat accelerate] [--json] [OPTIONS]"
    },
    description = {
      "Shows where each part of a model would lie, what that takes, and how fast this and other ways"
          + " to run it are predicted to be. Reads config.json alone.",
      ""
    })
final class PlanCommand implements Callable<Integer> {
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
      names = "--shape",
      paramLabel = "minicpm-v-2.6|qwen2-0.5b",
      description = "A model of this shape, without a checkpoint.")
  private Optional<ModelShape> shape = Optional.empty();

  @Option(
      names = "--gpus",
      paramLabel = "4x24GiB@1008GB/s",
      description = {
        "Plans for a machine that is not this one: GPUs by free memory and the speed at which it is"
            + " read, for example 2x80GiB@3350GB/s,1x24GiB@1008GB/s.",
        "/989TFLOPs adds the rate of half-precision products, /link=300GB/s a direct link to the"
            + " other GPUs, and the item cpu=64GiB@40GB/s the CPU."
      })
  private Optional<String> gpus = Optional.empty();

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Answers at once for which there is to be room and speed (default: ${DEFAULT-VALUE}).")
  private int batch = 1;

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
      names = "--tensor-parallel",
      paramLabel = "N",
      description = "Cut every layer over N GPUs; 1 for whole layers (default: what is fastest).")
  private Optional<Integer> tensorParallel = Optional.empty();

  @Option(
      names = "--replicas",
      paramLabel = "N",
      description = "N copies of the model (default: what is fastest).")
  private Optional<Integer> replicas = Optional.empty();

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

  // NullAway: picocli sets it before anything runs.
  @SuppressWarnings("NullAway.Init")
  @Spec
  private CommandSpec spec;

  private final Output output;
  private final Installation installation;

  PlanCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() {
    if (model.isPresent() && shape.isPresent()) {
      throw new ParameterException(spec.commandLine(), "give --model or --shape, not both");
    }
    ModelConfig config = config();
    PlanOptions options =
        new PlanOptions(
            DeviceMapChoice.parse(deviceMap),
            maxMemory.map(MaxMemory::parse),
            noSplit.map(names -> Arrays.stream(names.split(",")).map(String::strip).toList()),
            compat.isPresent(),
            DeviceArguments.number(tensorParallel),
            DeviceArguments.number(replicas));
    ModelSizes sizes = ModelSizes.of(config);
    Plan plan =
        FittedPlan.of(
                sizes,
                options,
                devices(),
                DeviceArguments.number(contextTokens),
                config.maxPositionEmbeddings(),
                batch,
                dtype.dtype().orElse(sizes.dtype()))
            .plan();
    if (json) {
      output.out().println(JsonMapper.shared().writeValueAsString(plan.toJson()));
    } else {
      PlanTable.print(plan, output.out());
    }
    return 0;
  }

  private ModelConfig config() {
    return shape
        .map(known -> known.config().model())
        .orElseGet(() ->
            ModelConfig.read(
                model.orElseGet(installation::requireDemoModel), Architectures.builtIn().names()));
  }

  /** What accelerate does depends on nothing that is here, where its budgets are given. */
  private List<DeviceBudget> devices() {
    if (gpus.isPresent()) {
      return MachineSpec.parse(gpus.get());
    }
    return compat.isPresent() && maxMemory.isPresent()
        ? List.of()
        : DeviceBudget.measured(Devices.probe());
  }
}
