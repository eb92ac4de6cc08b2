package org.tessera.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.tessera.api.LoadOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which model, and where it runs. */
final class ModelArguments {
  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "The checkpoint's directory; the project's demo model where it is left out.")
  Optional<Path> model = Optional.empty();

  @Mixin final DeviceArguments devices = new DeviceArguments();

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
    LoadOptions options = LoadOptions.defaults().withDevices(devices.toDeviceOptions());
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
