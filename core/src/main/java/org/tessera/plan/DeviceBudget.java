package org.tessera.plan;

import java.util.List;
import java.util.Optional;
import org.tessera.device.DeviceInfo;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Devices;
import org.tessera.device.Link;
import org.tessera.error.PlanException;

/** A device, the bytes of it that a plan may use, and how fast it is. */
public record DeviceBudget(DeviceId device, long bytes, DeviceSpeed speed) {
  /**
   * A GPU of which nothing is known: the memory of an RTX 4090 (1,008 GB/s by its data sheet), and
   * its 165 TFLOP/s. Plans compare devices, so that what matters is that unknown ones are alike.
   */
  public static final DeviceSpeed ASSUMED_GPU = new DeviceSpeed(1.008e12, 165e12, Link.HOST);

  /** A CPU of which nothing is known: the two cores that docs/performance.md measured. */
  public static final DeviceSpeed ASSUMED_CPU = new DeviceSpeed(43e9, 430e9, Link.HOST);

  public DeviceBudget {
    if (bytes < 0 || bytes > ByteSize.MAX_BYTES) {
      throw new PlanException(
          "the budget of %s is %d bytes, expected 0 to 64 PiB".formatted(device, bytes));
    }
  }

  /** A device of which only the memory is known. */
  public DeviceBudget(DeviceId device, long bytes) {
    this(device, bytes, device.isGpu() ? ASSUMED_GPU : ASSUMED_CPU);
  }

  /** What is free on a device that a backend found. */
  public static DeviceBudget of(DeviceInfo info) {
    return of(info, Optional.empty());
  }

  private static DeviceBudget of(DeviceInfo info, Optional<DeviceSpeed> speed) {
    DeviceBudget budget = new DeviceBudget(DeviceId.parse(info.id()), info.freeBytes());
    return speed
        .map(measured -> new DeviceBudget(budget.device(), budget.bytes(), measured))
        .orElse(budget);
  }

  /**
   * What is free on every device that was found and that plans can name, and how fast each is:
   * measures them.
   */
  public static List<DeviceBudget> measured(Devices devices) {
    return devices.measure().entrySet().stream()
        .filter(entry -> DeviceId.isId(entry.getKey().id()))
        .map(entry -> of(entry.getKey(), entry.getValue()))
        .toList();
  }

  DeviceBudget withBytes(long value) {
    return new DeviceBudget(device, value, speed);
  }
}
