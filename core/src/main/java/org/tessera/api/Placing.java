package org.tessera.api;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.config.ModelConfig;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import org.tessera.error.DeviceException;
import org.tessera.error.PlanException;
import org.tessera.plan.Deployment;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.DeviceBudget;
import org.tessera.plan.DeviceId;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.ModelSizes;
import org.tessera.plan.PlanOptions;
import org.tessera.plan.PlanRequest;
import org.tessera.plan.PlanService;
import org.tessera.plan.Strategy;

/** From what a user asks for to where the model runs on this machine. */
final class Placing {
  /** Context for which room is planned where the caller does not say. */
  private static final int DEFAULT_CONTEXT_TOKENS = 16_384;

  /** A few pictures and a conversation about them: less is not taken without being asked for. */
  private static final int LEAST_CONTEXT_TOKENS = 4096;

  private final Devices machine;
  private final Map<DeviceId, DeviceInfo> found = new LinkedHashMap<>();

  Placing(Devices machine) {
    this.machine = machine;
    machine.found().forEach(info -> found.put(DeviceId.parse(info.id()), info));
  }

  /**
   * Opens a device of a deployment.
   *
   * @throws DeviceException where it is not there or cannot be opened
   */
  Device open(DeviceId id) {
    return machine.open(name(id));
  }

  /** The id under which users know a device. */
  String name(DeviceId id) {
    DeviceInfo info = found.get(id);
    if (info == null) {
      throw new DeviceException(
          "there is no %s; found: %s"
              .formatted(id, found.values().stream().map(DeviceInfo::id).toList()));
    }
    return info.id();
  }

  /**
   * Where the model runs, and with how much room.
   *
   * @param contextTokens for which every device has room, by plan; absent where nothing was planned
   */
  record Placed(Deployment deployment, OptionalInt contextTokens) {}

  /**
   * Where the model runs.
   *
   * @throws DeviceException where a device is not there
   * @throws PlanException where the devices do not suffice
   */
  Placed place(LoadOptions options, ModelConfig config) {
    DeviceOptions devices = options.devices();
    if (devices.deployment().isPresent()) {
      return unplanned(devices.deployment().get());
    }
    List<DeviceId> usable = usable(devices.device());
    boolean mapped = devices.deviceMap().isPresent() || devices.maxMemory().isPresent();
    if (usable.stream().noneMatch(DeviceId::isGpu) && !mapped) {
      // Weights stay in the files that they are mapped from: there is nothing to budget.
      return unplanned(
          onCpu(
              usable.getFirst(),
              devices.tensorParallel().orElse(1),
              devices.replicas().orElse(1),
              config.numHiddenLayers()));
    }
    return planned(options, config, budgets(usable));
  }

  private static Placed unplanned(Deployment deployment) {
    return new Placed(deployment, OptionalInt.empty());
  }

  /** Where one GPU is all there is, how fast it is makes no difference. */
  private List<DeviceBudget> budgets(List<DeviceId> usable) {
    return usable.size() == 1
        ? List.of(DeviceBudget.of(Objects.requireNonNull(found.get(usable.getFirst()))))
        : DeviceBudget.measured(machine).stream()
            .filter(budget -> usable.contains(budget.device()))
            .toList();
  }

  private List<DeviceId> usable(String device) {
    List<DeviceId> usable = new ArrayList<>();
    String backend = "";
    for (String part : device.split(",", -1)) {
      // In cuda:0,1 the backend is named once.
      String id = part.matches("\\d+") ? backend + part : part;
      List<DeviceId> matching =
          found.entrySet().stream()
              .filter(entry -> matches(id, entry.getValue().id()))
              .map(Map.Entry::getKey)
              .toList();
      if (matching.isEmpty()) {
        machine.open(id).close(); // says why there is none
        throw new DeviceException("%s cannot be used here".formatted(id));
      }
      usable.addAll(matching);
      backend = id.contains(":") ? id.substring(0, id.indexOf(':') + 1) : "";
    }
    return usable.stream().distinct().toList();
  }

  private static boolean matches(String asked, String id) {
    return asked.equals("auto") || asked.equals(id) || id.startsWith(asked + ":");
  }

  /** Copies whose layers are cut over ranks that share the CPU. */
  private static Deployment onCpu(DeviceId cpu, int ranks, int replicas, int layerCount) {
    Replica copy = Replica.cutOver(Collections.nCopies(ranks, cpu), layerCount);
    return new Deployment(Collections.nCopies(replicas, copy));
  }

  /**
   * Where the user names no context, a smaller one that the GPUs hold is better than a larger one
   * for which layers move to the CPU.
   */
  private static Placed planned(
      LoadOptions options, ModelConfig config, List<DeviceBudget> budgets) {
    int wanted =
        options
            .contextTokens()
            .orElse(Math.min(config.maxPositionEmbeddings(), DEFAULT_CONTEXT_TOKENS));
    int least =
        options.contextTokens().isPresent() ? wanted : Math.min(wanted, LEAST_CONTEXT_TOKENS);
    boolean hasGpu = budgets.stream().anyMatch(budget -> budget.device().isGpu());
    for (int tokens = wanted; tokens > least; tokens = Math.max(least, tokens / 2)) {
      try {
        Deployment deployment = plan(options, config, budgets, hasGpu, tokens);
        if (!hasGpu || usesGpusAlone(deployment)) {
          return new Placed(deployment, OptionalInt.of(tokens));
        }
      } catch (PlanException e) {
        // A smaller one may fit; what the least one is refused for is what the user hears.
      }
    }
    return new Placed(plan(options, config, budgets, hasGpu, least), OptionalInt.of(least));
  }

  private static boolean usesGpusAlone(Deployment deployment) {
    return deployment.replicas().stream()
        .flatMap(replica -> replica.devices().stream())
        .allMatch(DeviceId::isGpu);
  }

  private static Deployment plan(
      LoadOptions options,
      ModelConfig config,
      List<DeviceBudget> budgets,
      boolean hasGpu,
      int contextTokens) {
    DeviceOptions devices = options.devices();
    ModelSizes sizes = ModelSizes.of(config);
    DeviceMapChoice choice = devices.deviceMap().orElse(new DeviceMapChoice.Named(Strategy.AUTO));
    return PlanService.plan(
            sizes,
            new PlanOptions(choice, devices.maxMemory(), Optional.empty(), false)
                .withNumbers(devices.tensorParallel(), devices.replicas()),
            budgets,
            PlanRequest.of(hasGpu, contextTokens, options.dtype().orElse(sizes.dtype())))
        .deployment()
        .orElseThrow();
  }
}
