package org.tessera.device;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.tessera.device.Backend.Availability;
import org.tessera.device.Backend.Component;
import org.tessera.error.DeviceException;

/** The devices of this machine, over all backends on the class path. */
public final class Devices {
  private final Map<Backend, Availability> backends = new LinkedHashMap<>();

  private Devices() {
    for (Backend backend : ServiceLoader.load(Backend.class)) {
      backends.put(backend, backend.probe());
    }
  }

  /** Asks every backend what it finds. */
  public static Devices probe() {
    return new Devices();
  }

  /** What each backend said, by its name. */
  public Map<String, Availability> availability() {
    Map<String, Availability> byName = new LinkedHashMap<>();
    backends.forEach((backend, availability) -> byName.put(backend.name(), availability));
    return byName;
  }

  /** The libraries that each backend found, by its name. */
  public Map<String, List<Component>> components() {
    Map<String, List<Component>> byName = new LinkedHashMap<>();
    backends.keySet().forEach(backend -> byName.put(backend.name(), backend.components()));
    return byName;
  }

  /** The devices that can be opened, GPUs first. */
  public List<DeviceInfo> found() {
    return preferred().stream()
        .map(Map.Entry::getValue)
        .filter(Availability.Available.class::isInstance)
        .flatMap(available -> ((Availability.Available) available).devices().stream())
        .toList();
  }

  /**
   * Opens a device.
   *
   * @param id {@code auto} for the fastest one found, a backend's name for its first device, or a
   *     device's own id
   * @throws DeviceException where there is no such device or it cannot be opened, with the reason
   */
  public Device open(String id) {
    List<String> reasons = new ArrayList<>();
    for (Map.Entry<Backend, Availability> entry : preferred()) {
      Backend backend = entry.getKey();
      switch (entry.getValue()) {
        case Availability.Unavailable(String reason, String remedy) -> {
          if (id.equals(backend.name()) || id.startsWith(backend.name() + ":")) {
            throw new DeviceException("%s cannot be used: %s; %s".formatted(id, reason, remedy));
          }
        }
        case Availability.Available(List<DeviceInfo> devices, List<String> notes) -> {
          for (DeviceInfo device : devices) {
            if (id.equals("auto") || id.equals(backend.name()) || id.equals(device.id())) {
              return backend.open(device);
            }
            reasons.add(device.id());
          }
        }
      }
    }
    throw new DeviceException("there is no device %s; found: %s".formatted(id, reasons));
  }

  /** GPUs before the CPU. */
  private List<Map.Entry<Backend, Availability>> preferred() {
    return backends.entrySet().stream()
        .sorted((a, b) -> Boolean.compare(isCpu(a.getKey()), isCpu(b.getKey())))
        .toList();
  }

  private static boolean isCpu(Backend backend) {
    return backend.name().equals("cpu");
  }
}
