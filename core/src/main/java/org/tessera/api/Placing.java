package org.tessera.api;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tessera.config.ModelConfig;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import org.tessera.engine.EngineOptions;
import org.tessera.error.DeviceException;
import org.tessera.error.PlanException;
import org.tessera.plan.Deployment;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.DeviceBudget;
import org.tessera.plan.DeviceId;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.ModelSizes;
import org.tessera.plan.Placement;
import org.tessera.plan.Plan;
import org.tessera.plan.PlanOptions;
import org.tessera.plan.PlanRequest;
import org.tessera.plan.PlanService;
import org.tessera.plan.Strategy;

/** From what a user asks for to where the model runs on this machine. */
final class Placing {
  /** Context for which room is planned where the caller does not say. */
  private static final int DEFAULT_CONTEXT_TOKENS = 16_384;

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
   * Where the model runs.
   *
   * @throws DeviceException where a device is not there
   * @throws PlanException where the devices do not suffice
   */
  Deployment deployment(LoadOptions options, ModelConfig config) {
    DeviceOptions devices = options.devices();
    if (devices.deployment().isPresent()) {
      return devices.deployment().get();
    }
    List<DeviceId> usable = usable(devices.device());
    int layerCount = config.numHiddenLayers();
    if (devices.tensorParallel().isPresent() || devices.replicas().isPresent()) {
      return copies(
          usable, devices.tensorParallel().orElse(1), devices.replicas().orElse(1), layerCount);
    }
    boolean asked = devices.deviceMap().isPresent() || devices.maxMemory().isPresent();
    if (usable.size() == 1 && !asked) {
      return Deployment.on(usable.getFirst(), layerCount);
    }
    return deployment(plan(options, config, usable), layerCount);
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

  /** Copies of layers that are cut over ranks, on GPUs where there are any, each used once. */
  private static Deployment copies(List<DeviceId> usable, int ranks, int replicas, int layerCount) {
    int count = Math.multiplyExact(ranks, replicas);
    List<DeviceId> gpus = usable.stream().filter(DeviceId::isGpu).toList();
    if (!gpus.isEmpty() && gpus.size() < count) {
      throw new PlanException(
          "%d ranks of %d copies need %d GPUs, and %d can be used: ask for fewer"
              .formatted(ranks, replicas, count, gpus.size()));
    }
    List<DeviceId> all = gpus.isEmpty() ? Collections.nCopies(count, usable.getFirst()) : gpus;
    List<Replica> copies = new ArrayList<>();
    for (int i = 0; i < replicas; i++) {
      copies.add(Replica.cutOver(all.subList(i * ranks, (i + 1) * ranks), layerCount));
    }
    return new Deployment(copies);
  }

  private Plan plan(LoadOptions options, ModelConfig config, List<DeviceId> usable) {
    DeviceOptions devices = options.devices();
    ModelSizes sizes = ModelSizes.of(config);
    DeviceMapChoice choice = devices.deviceMap().orElse(new DeviceMapChoice.Named(Strategy.AUTO));
    int context =
        options
            .contextTokens()
            .orElse(Math.min(config.maxPositionEmbeddings(), DEFAULT_CONTEXT_TOKENS));
    EngineOptions engine = EngineOptions.forTokens(context);
    return PlanService.plan(
        sizes,
        new PlanOptions(choice, devices.maxMemory(), Optional.empty(), false),
        usable.stream().map(found::get).map(DeviceBudget::of).toList(),
        new PlanRequest(
            context,
            1,
            engine.visionSlices(),
            engine.prefillRows(),
            options.dtype().orElse(sizes.dtype())));
  }

  /** What a plan's device map means: neighbouring layers on one device are a stage. */
  private static Deployment deployment(Plan plan, int layerCount) {
    Map<String, DeviceId> byPrefix = new LinkedHashMap<>();
    plan.deviceMap().forEach((path, device) -> byPrefix.put(path, DeviceId.parse(device)));
    Placement placement = new Placement(byPrefix);
    List<DeviceId> layers = new ArrayList<>();
    for (int i = 0; i < layerCount; i++) {
      layers.add(deviceOf(placement, "llm.model.layers." + i));
    }
    List<Stage> stages = new ArrayList<>();
    DeviceId embeddings = deviceOf(placement, "llm.model.embed_tokens");
    if (!embeddings.equals(layers.getFirst())) {
      stages.add(new Stage(List.of(embeddings), 0, 0));
    }
    int first = 0;
    for (int i = 1; i <= layerCount; i++) {
      if (i == layerCount || !layers.get(i).equals(layers.get(first))) {
        stages.add(new Stage(List.of(layers.get(first)), first, i));
        first = i;
      }
    }
    DeviceId head = deviceOf(placement, "llm.lm_head");
    requireTogether(placement, "llm.model.norm", "llm.lm_head");
    requireTogether(placement, "vpm", "resampler");
    if (!head.equals(layers.getLast())) {
      stages.add(new Stage(List.of(head), layerCount, layerCount));
    }
    return new Deployment(List.of(new Replica(stages, List.of(deviceOf(placement, "vpm")))));
  }

  private static void requireTogether(Placement placement, String module, String other) {
    if (!deviceOf(placement, module).equals(deviceOf(placement, other))) {
      throw new PlanException(
          "the device map gives %s and %s different devices, which cannot be run: give them one"
              .formatted(module, other));
    }
  }

  private static DeviceId deviceOf(Placement placement, String module) {
    DeviceId device = placement.deviceOf(module);
    if (device == null) {
      throw new PlanException(
          "the device map cuts %s in parts, which cannot be run: give it one device"
              .formatted(module));
    }
    for (Map.Entry<String, DeviceId> entry : placement.byPrefix().entrySet()) {
      if (entry.getKey().startsWith(module + ".") && !entry.getValue().equals(device)) {
        throw new PlanException(
            "the device map cuts %s in parts, which cannot be run: give it one device"
                .formatted(module));
      }
    }
    return device;
  }
}
