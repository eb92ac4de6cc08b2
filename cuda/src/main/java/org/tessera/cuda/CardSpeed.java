package org.tessera.cuda;

import java.util.stream.IntStream;
import org.tessera.cuda.ffm.DeviceAttribute;
import org.tessera.cuda.ffm.Driver;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;

/** How fast a card is: its memory measured, the rest by what the driver says of it. */
final class CardSpeed {
  private static final double HERTZ_PER_KILOHERTZ = 1000;

  private CardSpeed() {}

  /**
   * Measures a card, which takes some milliseconds and half a gigabyte of its memory or half of
   * what is free.
   *
   * @throws org.tessera.error.DeviceException where the card cannot be used now
   */
  static DeviceSpeed measure(Driver driver, int ordinal) {
    try (CudaContext context = new CudaContext(driver, ordinal);
        CudaStream stream = context.createStream()) {
      return new DeviceSpeed(
          ReadBandwidth.measure(context, stream),
          flops(driver, driver.device(ordinal), context.properties()),
          link(driver, ordinal));
    }
  }

  /**
   * Multiprocessors times their highest clock times what one does in a clock: an upper limit, since
   * long products run at a lower clock.
   */
  private static double flops(Driver driver, int device, CudaContext.Properties properties) {
    double hertz = HERTZ_PER_KILOHERTZ * driver.deviceAttribute(DeviceAttribute.CLOCK_RATE, device);
    return properties.multiprocessors() * hertz * flopsPerClock(properties.capability());
  }

  /**
   * Dense half-precision operations of one multiprocessor in one clock, accumulated in single
   * precision, as the makers' tables of rates give them. Cards of 8.6 and 8.9 differ: the slower
   * ones, those for games, are assumed, and of newer cards that are not known no more.
   */
  private static int flopsPerClock(int capability) {
    return switch (capability) {
      case 80 -> 2048;
      case 90 -> 4096;
      case 100, 103 -> 8192;
      default -> 512;
    };
  }

  /** Direct where it is to every other card. Neither bandwidth nor latency is measured. */
  private static Link link(Driver driver, int ordinal) {
    int count = driver.deviceCount();
    int device = driver.device(ordinal);
    boolean direct =
        count > 1
            && IntStream.range(0, count)
                .filter(other -> other != ordinal)
                .allMatch(other -> driver.hasPeerAtomics(device, driver.device(other)));
    return direct ? Link.DIRECT : Link.HOST;
  }
}
