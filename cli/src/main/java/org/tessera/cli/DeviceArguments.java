package org.tessera.cli;

import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.api.DeviceOptions;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.MaxMemory;
import picocli.CommandLine.Option;

/** Where a model runs. */
final class DeviceArguments {
  @Option(
      names = "--device",
      paramLabel = "auto|cpu|cuda|cuda:0,1",
      defaultValue = "auto",
      description = "Where the model may run (default: ${DEFAULT-VALUE}, everywhere).")
  private String device = "auto";

  @Option(
      names = "--device-map",
      paramLabel = "auto|balanced|balanced_low_0|sequential|DEVICE|FILE",
      description =
          "A strategy, a device for everything, or a JSON file of module prefixes to devices"
              + " (default: auto).")
  private Optional<String> deviceMap = Optional.empty();

  @Option(
      names = "--max-memory",
      paramLabel = "0=10GiB,cpu=30GiB",
      description = "Bytes of the devices that may be used; what is free where it is left out.")
  private Optional<String> maxMemory = Optional.empty();

  @Option(
      names = "--tensor-parallel",
      paramLabel = "N",
      description = "Cut every layer over N devices; 1 for whole layers.")
  private Optional<Integer> tensorParallel = Optional.empty();

  @Option(
      names = "--replicas",
      paramLabel = "N",
      description = "Load the model N times and divide requests over the copies.")
  private Optional<Integer> replicas = Optional.empty();

  /**
   * @throws org.tessera.error.InvalidRequestException where a value is out of range
   * @throws org.tessera.error.PlanException where a map or a budget is not valid
   */
  DeviceOptions toDeviceOptions() {
    return new DeviceOptions(
        device,
        deviceMap.map(DeviceMapChoice::parse),
        maxMemory.map(MaxMemory::parse),
        number(tensorParallel),
        number(replicas),
        Optional.empty());
  }

  static OptionalInt number(Optional<Integer> value) {
    return value.map(OptionalInt::of).orElseGet(OptionalInt::empty);
  }
}
