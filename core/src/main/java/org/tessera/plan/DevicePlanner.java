package org.tessera.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.stream.Collectors;
import org.tessera.error.PlanException;
import org.tessera.plan.Candidate.LayerStages;
import org.tessera.plan.Candidate.OneDevice;
import org.tessera.plan.Plan.PerDevice;

/**
 * Tessera's own plan. One GPU where the model fits on one, or else the fewest GPUs in stages of
 * whole layers, or else GPUs with the remaining layers on the CPU, or else the CPU. Every device's
 * bytes count weights, KV cache, activations and what a GPU's runtime takes, and stay within its
 * budget.
 */
public final class DevicePlanner {
  private static final Comparator<DeviceBudget> ROOM =
      Comparator.comparingLong(DeviceBudget::bytes);

  private final ModelSizes sizes;
  private final ModuleTree tree;

  /** A planner for a model of these sizes. */
  public DevicePlanner(ModelSizes sizes) {
    this.sizes = sizes;
    this.tree = MiniCpmModules.of(sizes);
  }

  /**
   * Lays the model over devices.
   *
   * @param devices what may be used, each device once
   * @throws PlanException where it does not fit: by how much, and what would
   */
  public Plan plan(List<DeviceBudget> devices, PlanRequest request) {
    MemoryModel memory = new MemoryModel(sizes, tree, request);
    return candidate(devices, memory)
        .map(candidate ->
            plan(
                candidate.placement().merged(tree),
                candidate.predicted(),
                candidate.reason(),
                List.of()))
        .orElseThrow(() -> refusal(devices, memory));
  }

  /** A plan from what was placed and predicted. */
  static Plan plan(
      Placement placement,
      SortedMap<DeviceId, PerDevice> predicted,
      String reason,
      List<String> notes) {
    Map<String, String> deviceMap = new LinkedHashMap<>();
    placement.byPrefix().forEach((path, device) -> deviceMap.put(path, device.label()));
    Map<String, Long> bytes = new LinkedHashMap<>();
    predicted.forEach((device, use) -> bytes.put(device.label(), use.totalBytes()));
    return new Plan(deviceMap, bytes, List.copyOf(predicted.values()), reason, notes);
  }

  private Optional<Candidate> candidate(List<DeviceBudget> devices, MemoryModel memory) {
    List<DeviceBudget> gpus = gpusLargestFirst(devices);
    List<DeviceBudget> cpu =
        devices.stream().filter(budget -> budget.device().equals(DeviceId.CPU)).toList();
    return oneGpu(gpus, memory)
        .or(() -> gpuStages(gpus, memory))
        .or(() -> cpu.isEmpty() ? Optional.empty() : offload(gpus, cpu.getFirst(), memory))
        .or(() -> cpu.isEmpty() ? Optional.empty() : cpuAlone(gpus, cpu.getFirst(), memory));
  }

  private static List<DeviceBudget> gpusLargestFirst(List<DeviceBudget> devices) {
    return devices.stream()
        .filter(budget -> budget.device().isGpu())
        .sorted(ROOM.reversed().thenComparing(DeviceBudget::device))
        .toList();
  }

  private Optional<Candidate> oneGpu(List<DeviceBudget> gpus, MemoryModel memory) {
    return gpus.stream()
        .findFirst()
        .flatMap(gpu ->
            oneDevice(
                gpu,
                memory,
                gpus.size() == 1 ? "the model fits on it" : "it fits on the GPU with most room"));
  }

  private static Optional<Candidate> oneDevice(
      DeviceBudget budget, MemoryModel memory, String why) {
    SortedMap<DeviceId, PerDevice> predicted =
        memory.predict(Placement.everythingOn(budget.device()));
    boolean fits = predicted.values().stream().allMatch(use -> use.totalBytes() <= budget.bytes());
    return fits ? Optional.of(new OneDevice(budget.device(), predicted, why)) : Optional.empty();
  }

  /** The fewest GPUs, since each more adds a hop and none makes a single answer faster. */
  private Optional<Candidate> gpuStages(List<DeviceBudget> gpus, MemoryModel memory) {
    for (int count = 2; count <= gpus.size(); count++) {
      Optional<Candidate> stages =
          stages(
              gpus.subList(0, count),
              memory,
              "the model fits on no fewer than %d GPUs".formatted(count));
      if (stages.isPresent()) {
        return stages;
      }
    }
    return Optional.empty();
  }

  private Optional<Candidate> offload(
      List<DeviceBudget> gpus, DeviceBudget cpu, MemoryModel memory) {
    List<DeviceBudget> devices =
        new ArrayList<>(
            gpus.stream().filter(gpu -> memory.baseBytes(gpu.device()) < gpu.bytes()).toList());
    if (devices.isEmpty()) {
      return Optional.empty();
    }
    devices.add(cpu);
    return stages(devices, memory, "the GPUs do not hold the whole model");
  }

  private static Optional<Candidate> stages(
      List<DeviceBudget> devices, MemoryModel memory, String why) {
    List<DeviceBudget> inOrder =
        devices.stream().sorted(Comparator.comparing(DeviceBudget::device)).toList();
    return new StageSearch(memory, inOrder)
        .best()
        .map(layout -> new LayerStages(layout, memory.predict(layout.placement()), why));
  }

  private Optional<Candidate> cpuAlone(
      List<DeviceBudget> gpus, DeviceBudget cpu, MemoryModel memory) {
    return oneDevice(
        cpu,
        memory,
        gpus.isEmpty() ? "no GPU is given" : "no GPU has room for a part of the model");
  }

  private PlanException refusal(List<DeviceBudget> devices, MemoryModel memory) {
    if (devices.isEmpty()) {
      return new PlanException("there is no device to place the model on: list cpu or a GPU");
    }
    DeviceBudget roomiest = devices.stream().max(ROOM).orElseThrow();
    PerDevice need =
        memory.predict(Placement.everythingOn(roomiest.device())).firstEntry().getValue();
    long haveBytes = devices.stream().mapToLong(DeviceBudget::bytes).sum();
    long missingBytes = need.totalBytes() - haveBytes;
    String budgets =
        devices.stream()
            .map(budget -> "%s: %s".formatted(budget.device(), ByteSize.format(budget.bytes())))
            .collect(Collectors.joining(", "));
    return new PlanException(
        "the model does not fit: it needs %s (%s) and there are %s (%s), %s; %s"
            .formatted(
                ByteSize.format(need.totalBytes()),
                parts(need, memory.request()),
                ByteSize.format(haveBytes),
                budgets,
                missingBytes > 0
                    ? ByteSize.format(missingBytes) + " too little"
                    : "which is enough in sum but not for whole layers on each device",
                remedy(devices, memory.request())));
  }

  private static String parts(PerDevice need, PlanRequest request) {
    return "weights %s, KV cache %s for %d tokens x %d, activations and runtime %s"
        .formatted(
            ByteSize.format(need.weightBytes()),
            ByteSize.format(need.kvBytes()),
            request.contextTokens(),
            request.batch(),
            ByteSize.format(need.activationBytes() + need.visionPeakBytes() + need.runtimeBytes()));
  }

  /** The largest context that fits, by bisection: memory grows with the context. */
  private String remedy(List<DeviceBudget> devices, PlanRequest request) {
    int fits = 0;
    int fails = request.contextTokens();
    while (fails - fits > 1) {
      int middle = fits + (fails - fits) / 2;
      PlanRequest smaller = request.withContextTokens(middle);
      if (candidate(devices, new MemoryModel(sizes, tree, smaller)).isPresent()) {
        fits = middle;
      } else {
        fails = middle;
      }
    }
    return fits > 0
        ? "a context of %d tokens would fit".formatted(fits)
        : "no smaller context would make it fit: it takes more memory, a smaller batch or fewer"
            + " slices at once";
  }
}
