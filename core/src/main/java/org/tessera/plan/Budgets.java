package org.tessera.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.tessera.error.PlanException;

/**
 * The devices that a plan may use: those found, or those that the user lists.
 *
 * @param devices GPUs by number, then the CPU, then the disk
 * @param notes what the user should know, each one sentence
 */
record Budgets(List<DeviceBudget> devices, List<String> notes) {

  /**
   * @param detected what backends found. Budgets that a user lists are cut to what is free there;
   *     where no GPU was found, any may be listed, to plan for another machine
   * @throws PlanException where a GPU is listed that is not among those found, or the disk
   */
  static Budgets of(PlanOptions options, List<DeviceBudget> detected) {
    if (options.maxMemory().isEmpty()) {
      return new Budgets(sorted(detected), List.of());
    }
    Map<DeviceId, DeviceBudget> found = DevicePlanner.byId(detected);
    boolean anyGpu = found.keySet().stream().anyMatch(DeviceId::isGpu);
    List<DeviceBudget> devices = new ArrayList<>();
    List<String> notes = new ArrayList<>();
    options
        .maxMemory()
        .orElseThrow()
        .forEach((device, bytes) -> {
          DeviceBudget there = found.get(device);
          if (options.accelerateCompat()) {
            devices.add(new DeviceBudget(device, bytes));
            return;
          }
          if (device.equals(DeviceId.DISK)) {
            throw new PlanException(
                "--max-memory lists disk, which is not supported: list cpu or a GPU");
          }
          if (device.isGpu() && anyGpu && there == null) {
            throw new PlanException(
                "--max-memory lists %s, which is not there: expected one of %s"
                    .formatted(device, names(sorted(detected))));
          }
          if (there == null) {
            devices.add(new DeviceBudget(device, bytes));
            return;
          }
          devices.add(there.withBytes(Math.min(bytes, there.bytes())));
          if (there.bytes() < bytes) {
            notes.add(
                "%s has %s free, less than the %s of --max-memory"
                    .formatted(device, ByteSize.format(there.bytes()), ByteSize.format(bytes)));
          }
        });
    return new Budgets(sorted(devices), notes);
  }

  private static List<DeviceBudget> sorted(List<DeviceBudget> devices) {
    SortedMap<DeviceId, DeviceBudget> byId = new TreeMap<>();
    devices.forEach(budget -> byId.put(budget.device(), budget));
    return List.copyOf(byId.values());
  }

  /** As accelerate takes them. */
  SortedMap<DeviceId, Long> bytes() {
    SortedMap<DeviceId, Long> bytes = new TreeMap<>();
    devices.forEach(budget -> bytes.put(budget.device(), budget.bytes()));
    return bytes;
  }

  static String names(List<DeviceBudget> devices) {
    return devices.stream()
        .map(budget -> budget.device().toString())
        .collect(Collectors.joining(", "));
  }
}
