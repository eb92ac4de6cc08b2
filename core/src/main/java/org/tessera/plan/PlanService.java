package org.tessera.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.tessera.error.PlanException;
import org.tessera.plan.ModuleTree.ModuleNode;
import org.tessera.plan.Plan.PerDevice;

/** Makes the plan that a user asks for. */
public final class PlanService {
  private static final double SINGLE_GPU_SHARE = 0.9;

  private final ModelSizes sizes;
  private final ModuleTree tree;

  private PlanService(ModelSizes sizes) {
    this.sizes = sizes;
    this.tree = MiniCpmModules.of(sizes);
  }

  /**
   * Plans a model from its sizes alone.
   *
   * @param detected what backends found; of no account where the options list budgets
   * @throws PlanException where the plan is not possible or asks for what is not supported
   */
  public static Plan plan(
      ModelSizes sizes, PlanOptions options, List<DeviceBudget> detected, PlanRequest request) {
    PlanService service = new PlanService(sizes);
    SortedMap<DeviceId, Long> budgets = options.maxMemory().orElseGet(() -> byDevice(detected));
    if (!options.accelerateCompat() && budgets.containsKey(DeviceId.DISK)) {
      throw new PlanException("--max-memory lists disk, which is not supported: list cpu or a GPU");
    }
    return switch (options.deviceMap()) {
      case DeviceMapChoice.Explicit(Placement placement) ->
          service.explicit(placement, budgets, request);
      case DeviceMapChoice.Named(Strategy strategy) ->
          strategy == Strategy.AUTO && !options.accelerateCompat()
              ? new DevicePlanner(sizes).plan(list(budgets), request)
              : service.named(strategy, options, budgets, request);
    };
  }

  private static SortedMap<DeviceId, Long> byDevice(List<DeviceBudget> detected) {
    SortedMap<DeviceId, Long> budgets = new TreeMap<>();
    detected.forEach(budget -> budgets.put(budget.device(), budget.bytes()));
    return budgets;
  }

  private static List<DeviceBudget> list(SortedMap<DeviceId, Long> budgets) {
    List<DeviceBudget> devices = new ArrayList<>();
    budgets.forEach((device, bytes) -> devices.add(new DeviceBudget(device, bytes)));
    return devices;
  }

  private Plan explicit(
      Placement placement, SortedMap<DeviceId, Long> budgets, PlanRequest request) {
    placement.requireCoverageOf(tree);
    for (DeviceId device : placement.devices()) {
      if (!budgets.containsKey(device)) {
        throw new PlanException(
            "the device map names %s, and there are only %s".formatted(device, names(budgets)));
      }
    }
    SortedMap<DeviceId, PerDevice> predicted =
        new MemoryModel(sizes, tree, request).predict(placement);
    predicted.forEach(
        (device, use) -> requireWithin(device, use, budgets.getOrDefault(device, 0L)));
    List<String> unknown = placement.unknownKeys(tree);
    List<String> notes =
        unknown.isEmpty()
            ? List.of()
            : List.of(
                "keys of the device map that match nothing in the model: "
                    + Placement.abridged(unknown));
    return DevicePlanner.plan(placement.merged(tree), predicted, "as the device map says", notes);
  }

  private static void requireWithin(DeviceId device, PerDevice use, long budget) {
    if (use.totalBytes() > budget) {
      throw new PlanException(
          "the device map puts %s on %s, %s more than the %s it has: map less to it or ask for a"
                  .formatted(
                      ByteSize.format(use.totalBytes()),
                      device,
                      ByteSize.format(use.totalBytes() - budget),
                      ByteSize.format(budget))
              + " smaller context");
    }
  }

  private Plan named(
      Strategy strategy,
      PlanOptions options,
      SortedMap<DeviceId, Long> budgets,
      PlanRequest request) {
    List<String> noSplit =
        options.noSplitClasses().orElse(defaultNoSplit(options.accelerateCompat()));
    AccelerateDeviceMap accelerate = new AccelerateDeviceMap(tree, request.dtype(), noSplit);
    SortedMap<DeviceId, Long> caps =
        accelerate.budgets(
            strategy, options.maxMemory().isPresent() ? budgets : spared(strategy, budgets));
    Placement placement = new Placement(accelerate.infer(caps));
    String reason =
        "%s as accelerate places weights within %s".formatted(strategy.label(), sizes(caps));
    List<String> notes = new ArrayList<>(unknownClasses(noSplit));
    if (options.accelerateCompat()) {
      return DevicePlanner.plan(placement, weightsOnly(placement, request), reason, notes);
    }
    refuseDisk(placement, budgets);
    SortedMap<DeviceId, PerDevice> predicted =
        new MemoryModel(sizes, tree, request).predict(placement);
    predicted.forEach((device, use) -> noteExcess(device, use, budgets, notes));
    return DevicePlanner.plan(placement, predicted, reason, notes);
  }

  private static List<String> defaultNoSplit(boolean accelerateCompat) {
    return accelerateCompat
        ? List.of(MiniCpmModules.DECODER_LAYER_CLASS)
        : List.of(
            MiniCpmModules.DECODER_LAYER_CLASS,
            MiniCpmModules.VISION_CLASS,
            MiniCpmModules.RESAMPLER_CLASS);
  }

  /** A single GPU whose budget nobody set keeps a tenth for what is not weights. */
  private static SortedMap<DeviceId, Long> spared(
      Strategy strategy, SortedMap<DeviceId, Long> budgets) {
    SortedMap<DeviceId, Long> spared = new TreeMap<>(budgets);
    List<DeviceId> gpus =
        budgets.keySet().stream()
            .filter(device -> device.isGpu() && budgets.getOrDefault(device, 0L) > 0)
            .toList();
    if (gpus.size() == 1 && strategy != Strategy.SEQUENTIAL) {
      spared.computeIfPresent(gpus.getFirst(), (gpu, bytes) -> (long) (SINGLE_GPU_SHARE * bytes));
    }
    return spared;
  }

  private SortedMap<DeviceId, PerDevice> weightsOnly(Placement placement, PlanRequest request) {
    SortedMap<DeviceId, PerDevice> weights = new TreeMap<>();
    MemoryModel.weightBytes(
            tree, placement, tensor -> ModuleSizes.accelerateBytes(tensor, request.dtype()))
        .forEach((device, bytes) ->
            weights.put(device, new PerDevice(device.label(), bytes, 0, 0, 0, 0)));
    return weights;
  }

  private void refuseDisk(Placement placement, SortedMap<DeviceId, Long> budgets) {
    List<String> onDisk =
        placement.byPrefix().entrySet().stream()
            .filter(entry -> entry.getValue().equals(DeviceId.DISK))
            .map(Map.Entry::getKey)
            .toList();
    if (!onDisk.isEmpty()) {
      String parts = onDisk.contains("") ? "the whole model" : Placement.abridged(onDisk);
      throw new PlanException(
          ("the model does not fit within %s, and disk, where accelerate would put the rest, is not"
                  + " supported: raise the budgets or list cpu (left over: %s)")
              .formatted(sizes(budgets), parts));
    }
  }

  private static void noteExcess(
      DeviceId device, PerDevice use, SortedMap<DeviceId, Long> budgets, List<String> notes) {
    long budget = budgets.getOrDefault(device, 0L);
    if (use.totalBytes() > budget) {
      notes.add(
          "%s takes %s more than its %s with KV cache and activations: ask for a smaller context"
                  .formatted(
                      device, ByteSize.format(use.totalBytes() - budget), ByteSize.format(budget))
              + " or use auto, which counts them");
    }
  }

  private List<String> unknownClasses(List<String> noSplit) {
    TreeSet<String> unknown = new TreeSet<>(noSplit);
    tree.modules().stream().map(ModuleNode::className).forEach(unknown::remove);
    return unknown.isEmpty()
        ? List.of()
        : List.of(
            "--no-split names no class of the model: " + Placement.abridged(List.copyOf(unknown)));
  }

  private static String names(SortedMap<DeviceId, Long> budgets) {
    return budgets.keySet().stream().map(DeviceId::toString).collect(Collectors.joining(", "));
  }

  private static String sizes(SortedMap<DeviceId, Long> budgets) {
    return budgets.entrySet().stream()
        .map(entry -> "%s: %s".formatted(entry.getKey(), ByteSize.format(entry.getValue())))
        .collect(Collectors.joining(", "));
  }
}
