package org.tessera.plan;

import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tessera.error.PlanException;

/** The syntax of {@code --max-memory}: {@code 0=10GiB,1=10GiB,cpu=30GiB}. */
public final class MaxMemory {
  private static final int MAX_DEVICES = 64;

  private MaxMemory() {}

  /**
   * Reads the budgets; only the devices listed may be used.
   *
   * @return bytes of each device, GPUs by number and then the CPU
   * @throws PlanException where an item is not {@code device=size} or a device comes twice
   */
  public static SortedMap<DeviceId, Long> parse(String text) {
    String[] items = text.split(",", -1);
    if (items.length > MAX_DEVICES) {
      throw new PlanException(
          "--max-memory lists %d devices, at most %d are supported"
              .formatted(items.length, MAX_DEVICES));
    }
    SortedMap<DeviceId, Long> budgets = new TreeMap<>();
    for (String item : items) {
      int equals = item.indexOf('=');
      if (equals < 0) {
        throw new PlanException(
            "--max-memory item \"%s\" is not valid: expected device=size, such as 0=10GiB,cpu=30GiB"
                .formatted(Printable.of(item)));
      }
      DeviceId device = DeviceId.parse(item.substring(0, equals).strip());
      if (budgets.put(device, ByteSize.parse(item.substring(equals + 1))) != null) {
        throw new PlanException("--max-memory lists %s twice".formatted(device));
      }
    }
    return Collections.unmodifiableSortedMap(budgets);
  }
}
