package org.tessera.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.tessera.device.Device;
import org.tessera.error.PlanException;
import org.tessera.plan.DeviceId;

/**
 * The opened devices of one copy of a model. A GPU is opened once, whatever it holds, so that one
 * thread makes all calls to it. The CPU is opened once for each time that stages name it; the first
 * devices for pictures on the CPU are those of the first stages there.
 */
final class DevicePlaces {
  private final Function<DeviceId, Device> open;
  private final Map<DeviceId, Device> gpus = new HashMap<>();
  private final List<Device> cpus = new ArrayList<>();

  /**
   * @param open opens a device; whoever gives it closes what it opens
   */
  DevicePlaces(Function<DeviceId, Device> open) {
    this.open = open;
  }

  /**
   * The devices of a stage's ranks.
   *
   * @throws PlanException where a GPU is to be two of the ranks
   */
  List<Device> ofStage(List<DeviceId> ranks) {
    Set<DeviceId> seen = new HashSet<>();
    List<Device> devices = new ArrayList<>();
    for (DeviceId rank : ranks) {
      if (!rank.equals(DeviceId.CPU) && !seen.add(rank)) {
        throw new PlanException("%s cannot be two ranks of one stage".formatted(rank));
      }
      devices.add(rank.equals(DeviceId.CPU) ? newCpu() : gpus.computeIfAbsent(rank, open));
    }
    return devices;
  }

  /**
   * The devices that encode pictures; to be called when those of all stages are there.
   *
   * @throws PlanException where a GPU is named twice
   */
  List<Device> ofVision(List<DeviceId> ids) {
    Set<DeviceId> seen = new HashSet<>();
    List<Device> devices = new ArrayList<>();
    int used = 0;
    for (DeviceId id : ids) {
      if (id.equals(DeviceId.CPU)) {
        devices.add(used < cpus.size() ? cpus.get(used) : newCpu());
        used++;
      } else if (seen.add(id)) {
        devices.add(gpus.computeIfAbsent(id, open));
      } else {
        throw new PlanException("%s is named twice for pictures".formatted(id));
      }
    }
    return devices;
  }

  private Device newCpu() {
    Device device = open.apply(DeviceId.CPU);
    cpus.add(device);
    return device;
  }
}
