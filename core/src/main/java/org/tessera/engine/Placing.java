package org.tessera.engine;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.api.DeviceOptions;
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
import org.tessera.plan.FittedPlan;
import org.tessera.plan.ModelSizes;
import org.tessera.plan.PlanOptions;
import org.tessera.plan.PlanRequest;
import org.tessera.plan.Strategy;
import org.tessera.tensor.DType;

/** From what a user asks for to where the model runs on this machine. */
public final class Placing {
  /**
   * A device of a backend that plans do not know gets a number that no GPU has. It is used where it
   * is asked for by name, alone.
   */
  private static final int FIRST_OTHER = 9000;

  private final Devices machine;
  private final Map<DeviceId, DeviceInfo> found = new LinkedHashMap<>();

  /** On the devices that were found. */
  public Placing(Devices machine) {
    this.machine = machine;
    int others = 0;
    for (DeviceInfo info : machine.found()) {
      found.put(
          DeviceId.isId(info.id())
              ? DeviceId.parse(info.id())
              : DeviceId.gpu(FIRST_OTHER + others++),
          info);
    }
  }

  /**
   * Opens a device of a deployment.
   *
   * @throws DeviceException where it is not there or cannot be opened
   */
  public Device open(DeviceId id) {
    return machine.open(name(id));
  }

  /** The id under which users know a device. */
  public String name(DeviceId id) {
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
   * @param room for what every device has room, by plan; absent where nothing was planned
   */
  public record Placed(Deployment deployment, Optional<PlanRequest> room) {}

  /**
   * Where the model runs.
   *
   * @param contextTokens for which there must be room; absent for what suits model and memory
   * @param dtype of the weight matrices in memory; absent for the checkpoint's
   * @throws DeviceException where a device is not there
   * @throws PlanException where the devices do not suffice
   */
  public Placed place(
      DeviceOptions devices, OptionalInt contextTokens, Optional<DType> dtype, ModelConfig config) {
    if (devices.deployment().isPresent()) {
      return unplanned(devices.deployment().get());
    }
    List<DeviceId> usable = usable(devices.device());
    if (isOther(usable.getFirst())) {
      return unplanned(Deployment.on(usable.getFirst(), config.numHiddenLayers()));
    }
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
    return planned(devices, contextTokens, dtype, config, budgets(usable));
  }

  private static Placed unplanned(Deployment deployment) {
    return new Placed(deployment, Optional.empty());
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
              .filter(each -> !id.equals("auto") || !isOther(each))
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

  private static boolean isOther(DeviceId id) {
    return id.isGpu() && id.index() >= FIRST_OTHER;
  }

  private static boolean matches(String asked, String id) {
    return asked.equals("auto") || asked.equals(id) || id.startsWith(asked + ":");
  }

  /** Copies whose layers are cut over ranks that share the CPU. */
  private static Deployment onCpu(DeviceId cpu, int ranks, int replicas, int layerCount) {
    Replica copy = Replica.cutOver(Collections.nCopies(ranks, cpu), layerCount);
    return new Deployment(Collections.nCopies(replicas, copy));
  }

  private static Placed planned(
      DeviceOptions devices,
      OptionalInt contextTokens,
      Optional<DType> dtype,
      ModelConfig config,
      List<DeviceBudget> budgets) {
    ModelSizes sizes = ModelSizes.of(config);
    DeviceMapChoice choice = devices.deviceMap().orElse(new DeviceMapChoice.Named(Strategy.AUTO));
    FittedPlan fitted =
        FittedPlan.of(
            sizes,
            new PlanOptions(choice, devices.maxMemory(), Optional.empty(), false)
                .withNumbers(devices.tensorParallel(), devices.replicas()),
            budgets,
            contextTokens,
            config.maxPositionEmbeddings(),
            1,
            dtype.orElse(sizes.dtype()));
    return new Placed(fitted.plan().deployment().orElseThrow(), Optional.of(fitted.request()));
  }
}
