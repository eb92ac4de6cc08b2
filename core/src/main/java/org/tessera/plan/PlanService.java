package org.tessera.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
   * @param detected what was found, see {@link DeviceBudget#measured}; of devices for which the
   *     options list budgets, no more than that is used
   * @return a plan with a deployment, unless accelerate's own map was asked for
   * @throws PlanException where the plan is not possible or asks for what is not supported
   */
  public static Plan plan(
      ModelSizes sizes, PlanOptions options, List<DeviceBudget> detected, PlanRequest request) {
    PlanService service = new PlanService(sizes);
    Budgets budgets = Budgets.of(options, detected);
    if (budgets.devices().isEmpty()) {
      throw new PlanException("there is no device to place the model on: list cpu or a GPU");
    }
    Plan plan =
        switch (options.deviceMap()) {
          case DeviceMapChoice.Explicit(Placement placement) ->
              service.explicit(placement, budgets, request);
          case DeviceMapChoice.Named(Strategy strategy) ->
              strategy == Strategy.AUTO && !options.accelerateCompat()
                  ? new DevicePlanner(sizes, options.tensorParallel(), options.replicas())
                      .plan(budgets.devices(), request)
                  : service.named(strategy, options, budgets, request);
        };
    return plan.withNotes(Stream.concat(budgets.notes().stream(), plan.notes().stream()).toList());
  }

  private Plan explicit(Placement placement, Budgets budgets, PlanRequest request) {
    placement.requireCoverageOf(tree);
    SortedMap<DeviceId, Long> bytes = budgets.bytes();
    for (DeviceId device : placement.devices()) {
      if (!bytes.containsKey(device)) {
        throw new PlanException(
            "the device map names %s, which is not there: expected one of %s"
                .formatted(device, Budgets.names(budgets.devices())));
      }
    }
    MapDeployment map =
        MapDeployment.of(placement, tree, sizes, "the device map", /* movesResampler= */ false);
    SortedMap<DeviceId, PerDevice> predicted =
        new MemoryModel(sizes, tree, request).predict(map.placement());
    predicted.forEach((device, use) -> requireWithin(device, use, bytes.getOrDefault(device, 0L)));
    List<String> notes = new ArrayList<>(map.notes());
    List<String> unknown = placement.unknownKeys(tree);
    if (!unknown.isEmpty()) {
      notes.add(
          "keys of the device map that match nothing in the model: " + Placement.abridged(unknown));
    }
    return given("device map", "as the device map says", map, predicted, budgets, request, notes);
  }

  /** The plan of a map that leaves no choice. */
  private Plan given(
      String name,
      String reason,
      MapDeployment map,
      SortedMap<DeviceId, PerDevice> predicted,
      Budgets budgets,
      PlanRequest request,
      List<String> notes) {
    TimeModel times = new TimeModel(new ModelWork(sizes, request), Workload.of(sizes, request));
    Candidate candidate =
        new Candidate.Feasible(
            name,
            reason,
            DeploymentText.describe(map.deployment()),
            map.deployment(),
            predicted,
            times.predict(map.deployment(), DevicePlanner.byId(budgets.devices())));
    return new Plan(
        labels(map.placement().merged(tree)),
        List.copyOf(predicted.values()),
        reason,
        notes,
        Optional.of(map.deployment()),
        List.of(candidate),
        times.load());
  }

  private static Map<String, String> labels(Placement placement) {
    Map<String, String> labels = new LinkedHashMap<>();
    placement.byPrefix().forEach((path, device) -> labels.put(path, device.label()));
    return labels;
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

  private Plan named(Strategy strategy, PlanOptions options, Budgets devices, PlanRequest request) {
    SortedMap<DeviceId, Long> budgets = devices.bytes();
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
      SortedMap<DeviceId, PerDevice> weights = weightsOnly(accelerate.bytes(placement.byPrefix()));
      return new Plan(
          labels(placement),
          List.copyOf(weights.values()),
          reason,
          notes,
          Optional.empty(),
          List.of(),
          Workload.of(sizes, request));
    }
    refuseDisk(placement, budgets);
    MapDeployment map =
        MapDeployment.of(placement, tree, sizes, strategy.label(), /* movesResampler= */ true);
    SortedMap<DeviceId, PerDevice> predicted =
        new MemoryModel(sizes, tree, request).predict(map.placement());
    notes.addAll(map.notes());
    predicted.forEach((device, use) -> noteExcess(device, use, budgets, notes));
    return given(strategy.label(), reason, map, predicted, devices, request, notes);
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

  private static SortedMap<DeviceId, PerDevice> weightsOnly(SortedMap<DeviceId, Long> bytes) {
    SortedMap<DeviceId, PerDevice> weights = new TreeMap<>();
    bytes.forEach((device, weightBytes) ->
        weights.put(device, new PerDevice(device.label(), weightBytes, 0, 0, 0, 0)));
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

  private static String sizes(SortedMap<DeviceId, Long> budgets) {
    return budgets.entrySet().stream()
        .map(entry -> "%s: %s".formatted(entry.getKey(), ByteSize.format(entry.getValue())))
        .collect(Collectors.joining(", "));
  }
}
