package org.tessera.plan;

import org.tessera.device.DeviceInfo;
import org.tessera.error.PlanException;

/** A device and the bytes of it that a plan may use. */
public record DeviceBudget(DeviceId device, long bytes) {
  public DeviceBudget {
    if (bytes < 0 || bytes > ByteSize.MAX_BYTES) {
      throw new PlanException(
          "the budget of %s is %d bytes, expected 0 to 64 PiB".formatted(device, bytes));
    }
  }

  /** What is free on a device that a backend found. */
  public static DeviceBudget of(DeviceInfo info) {
    return new DeviceBudget(DeviceId.parse(info.id()), info.freeBytes());
  }
}
