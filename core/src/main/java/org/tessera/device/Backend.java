package org.tessera.device;

import java.util.List;
import java.util.Optional;

/**
 * A kind of device, found by {@link java.util.ServiceLoader}. A backend that cannot run here is
 * still listed, with the reason.
 */
public interface Backend {
  /** The prefix of its device ids: {@code cpu}, {@code cuda}. */
  String name();

  /** Looks for devices; never throws because something is missing. */
  Availability probe();

  /**
   * Opens one of the devices that {@link #probe} listed.
   *
   * @throws org.tessera.error.DeviceException where it cannot be opened
   */
  Device open(DeviceInfo info);

  /**
   * How fast a device that {@link #probe} listed is, measured as far as some milliseconds allow and
   * estimated for the rest: not part of a probe, since few who probe need it. Empty where it cannot
   * be said, for example because no memory is free.
   */
  default Optional<DeviceSpeed> measure(DeviceInfo info) {
    return Optional.empty();
  }

  /** The libraries that were found, all or some of those that are needed, for a report. */
  default List<Component> components() {
    return List.of();
  }

  /** A library that was loaded: what it is for, where it lies and its version. */
  record Component(String name, String path, String version) {}

  /** What a probe found. */
  sealed interface Availability {
    /**
     * At least one device can be opened; {@code notes} say what is slower than it could be and why.
     */
    record Available(List<DeviceInfo> devices, List<String> notes) implements Availability {}

    /** No device can be opened: why, and the line that would change it. */
    record Unavailable(String reason, String remedy) implements Availability {}
  }
}
