package org.tessera.device;

/**
 * How fast a device is.
 *
 * @param bytesPerSecond at which its memory is read
 * @param flops operations a second, a multiplication and an addition counting as two: of a GPU,
 *     what its units for dense half-precision products could do without ever waiting; of a CPU,
 *     what products reach
 * @param link to the other devices of the machine
 */
public record DeviceSpeed(double bytesPerSecond, double flops, Link link) {
  private static final double MAX_RATE = 1e21;

  public DeviceSpeed {
    if (!(bytesPerSecond > 0 && bytesPerSecond <= MAX_RATE)) {
      throw new IllegalArgumentException("a memory of %s bytes/s".formatted(bytesPerSecond));
    }
    if (!(flops > 0 && flops <= MAX_RATE)) {
      throw new IllegalArgumentException("%s operations/s".formatted(flops));
    }
  }

  /** What each of {@code users} has who share this device at the same time. */
  public DeviceSpeed shared(int users) {
    return new DeviceSpeed(bytesPerSecond / users, flops / users, link);
  }
}
