package org.tessera.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.tessera.api.LoadOptions;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.MaxMemory;
import picocli.CommandLine.Option;

/** Which model, and where it runs. */
final class ModelArguments {
  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "The checkpoint's directory; the project's demo model where it is left out.")
  Optional<Path> model = Optional.empty();

  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:0,1",
      defaultValue = "auto",
      description = "Where the model may run (default: ${DEFAULT-VALUE}, everywhere).")
  String device = "auto";

  @Option(
      names = "--device-map",
      paramLabel = "auto|balanced|balanced_low_0|sequential|DEVICE|FILE",
      description =
          "A strategy, a device for everything, or a JSON file of module prefixes to devices"
              + " (default: auto).")
  Optional<String> deviceMap = Optional.empty();

  @Option(
      names = "--max-memory",
      paramLabel = "0=10GiB,cpu=30GiB",
      description = "Bytes of the devices that may be used; what is free where it is left out.")
  Optional<String> maxMemory = Optional.empty();

  @Option(
      names = "--tensor-parallel",
      paramLabel = "N",
      description = "Cut every layer over N devices; 1 for whole layers.")
  Optional<Integer> tensorParallel = Optional.empty();

  @Option(
      names = "--replicas",
      paramLabel = "N",
      description = "Load the model N times and divide requests over the copies.")
  Optional<Integer> replicas = Optional.empty();

  @Option(
      names = "--dtype",
      paramLabel = "auto|bf16|fp16|fp32",
      defaultValue = "auto",
      description = "Element type of the weights in memory (default: ${DEFAULT-VALUE}).")
  DTypeName dtype = DTypeName.AUTO;

  @Option(
      names = "--context-tokens",
      paramLabel = "N",
      description = "Tokens of prompt and answer that the key/value cache has room for.")
  Optional<Integer> contextTokens = Optional.empty();

  @Option(
      names = "--trust-plugins",
      paramLabel = "DIR",
      description =
          "Run code from the jars in DIR for further architectures. Code never comes from a"
              + " checkpoint.")
  Optional<Path> trustPlugins = Optional.empty();

  /**
   * @throws org.tessera.error.InvalidRequestException where a value is out of range
   * @throws org.tessera.error.PlanException where a map or a budget is not valid
   */
  LoadOptions toLoadOptions() {
    LoadOptions options = LoadOptions.defaults().withDevice(device);
    if (deviceMap.isPresent()) {
      options = options.withDeviceMap(DeviceMapChoice.parse(deviceMap.get()));
    }
    if (maxMemory.isPresent()) {
      options = options.withMaxMemory(MaxMemory.parse(maxMemory.get()));
    }
    if (tensorParallel.isPresent()) {
      options = options.withTensorParallel(tensorParallel.get());
    }
    if (replicas.isPresent()) {
      options = options.withReplicas(replicas.get());
    }
    if (dtype.dtype().isPresent()) {
      options = options.withDtype(dtype.dtype().get());
    }
    if (contextTokens.isPresent()) {
      options = options.withContextTokens(contextTokens.get());
    }
    if (trustPlugins.isPresent()) {
      options = options.withTrustedPlugins(trustPlugins.get());
    }
    return options;
  }
}
