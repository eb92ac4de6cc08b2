package org.tessera.plan;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tessera.error.PlanException;

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
 * @param tensorParallel ranks over which Tessera's own plan is to cut every layer, 1 for whole
 *     layers; where empty, what is fastest
 * @param replicas copies of the model that it is to have; where empty, what is fastest
 */
public record PlanOptions(
    DeviceMapChoice deviceMap,
    Optional<SortedMap<DeviceId, Long>> maxMemory,
    Optional<List<String>> noSplitClasses,
    boolean accelerateCompat,
    OptionalInt tensorParallel,
    OptionalInt replicas) {

  /** Tessera's own plan on what was found. */
  public static final PlanOptions AUTO =
      new PlanOptions(
          new DeviceMapChoice.Named(Strategy.AUTO), Optional.empty(), Optional.empty(), false);

  public PlanOptions {
    maxMemory = maxMemory.map(budgets -> Collections.unmodifiableSortedMap(new TreeMap<>(budgets)));
    noSplitClasses = noSplitClasses.map(List::copyOf);
    check("tensor parallel", tensorParallel);
    check("replicas", replicas);
    boolean isAuto = deviceMap.equals(new DeviceMapChoice.Named(Strategy.AUTO));
    if ((tensorParallel.isPresent() || replicas.isPresent()) && (!isAuto || accelerateCompat)) {
      throw new PlanException(
          "a number of tensor-parallel ranks or of replicas goes with the device map auto, which"
              + " this is not: leave out either");
    }
  }

  /** With any number of ranks and of copies. */
  public PlanOptions(
      DeviceMapChoice deviceMap,
      Optional<SortedMap<DeviceId, Long>> maxMemory,
      Optional<List<String>> noSplitClasses,
      boolean accelerateCompat) {
    this(
        deviceMap,
        maxMemory,
        noSplitClasses,
        accelerateCompat,
        OptionalInt.empty(),
        OptionalInt.empty());
  }

  /** The same with numbers of ranks a layer and of copies, where they are given. */
  public PlanOptions withNumbers(OptionalInt tensorParallelRanks, OptionalInt copies) {
    return new PlanOptions(
        deviceMap, maxMemory, noSplitClasses, accelerateCompat, tensorParallelRanks, copies);
  }

  private static void check(String what, OptionalInt value) {
    if (value.orElse(1) < 1) {
      throw new PlanException("%s: %d, expected at least 1".formatted(what, value.getAsInt()));
    }
  }
}
