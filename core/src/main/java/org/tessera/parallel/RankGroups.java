package org.tessera.parallel;

import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import org.tessera.device.Device;

/** Finds the fastest way for ranks to exchange. */
public final class RankGroups {
  private RankGroups() {}

  /** A backend's way for its own devices, found by {@link ServiceLoader}. */
  public interface Provider {
    /** A group over these devices, in rank order; absent where this backend cannot connect them. */
    Optional<RankGroup> connect(List<Device> devices);
  }

  /** A group over these devices, in rank order: a backend's own, or else through host memory. */
  public static RankGroup connect(List<Device> devices) {
    for (Provider provider : ServiceLoader.load(Provider.class)) {
      Optional<RankGroup> group = provider.connect(devices);
      if (group.isPresent()) {
        return group.get();
      }
    }
    return new LocalGroup(devices.size());
  }
}
