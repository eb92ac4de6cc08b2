package org.tessera.plan;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * How a device map is to be made.
 *
 * @param deviceMap a strategy or a map
 * @param maxMemory bytes of the devices that may be used; where empty, what is free on those found
 * @param noSplitClasses classes whose modules a strategy of accelerate's keeps whole; where empty,
 *     what Transformers passes for this model, and Tessera's own rule that the vision tower and the
 *     resampler stay whole
 * @param accelerateCompat whether strategies give what accelerate 1.15 gives, and nothing else
 *     counts than weights
 */
public record PlanOptions(
    DeviceMapChoice deviceMap,
    Optional<SortedMap<DeviceId, Long>> maxMemory,
    Optional<List<String>> noSplitClasses,
    boolean accelerateCompat) {

  /** Tessera's own plan on what was found. */
  public static final PlanOptions AUTO =
      new PlanOptions(
          new DeviceMapChoice.Named(Strategy.AUTO), Optional.empty(), Optional.empty(), false);

  public PlanOptions {
    maxMemory = maxMemory.map(budgets -> Collections.unmodifiableSortedMap(new TreeMap<>(budgets)));
    noSplitClasses = noSplitClasses.map(List::copyOf);
  }
}
