package org.tessera.plan;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;
import org.tessera.error.PlanException;

/** What {@code --device-map} asks for. */
public sealed interface DeviceMapChoice {

  /** A strategy by name. */
  record Named(Strategy strategy) implements DeviceMapChoice {}

  /** A map that the user gives. */
  record Explicit(Placement placement) implements DeviceMapChoice {}

  /**
   * Reads {@code auto}, {@code balanced}, {@code balanced_low_0}, {@code sequential}, a device for
   * everything ({@code 0}, {@code cuda:0}, {@code cpu}) or the path of a JSON file.
   *
   * @throws PlanException where a file is meant that cannot be read or is no map
   */
  static DeviceMapChoice parse(String option) {
    Optional<Strategy> strategy = Strategy.named(option);
    if (strategy.isPresent()) {
      return new Named(strategy.get());
    }
    if (option.equals("cpu") || option.matches("(?:cuda:)?\\d{1,4}")) {
      return new Explicit(Placement.everythingOn(DeviceId.parse(option)));
    }
    try {
      return new Explicit(DeviceMapFile.read(Path.of(option)));
    } catch (InvalidPathException e) {
      throw new PlanException(
          "--device-map \"%s\" is neither a strategy nor a device nor the name of a file"
              .formatted(Printable.of(option)),
          e);
    }
  }
}
