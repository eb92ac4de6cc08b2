package org.tessera.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.cuda.ffm.Driver;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.cuda.ffm.Nccl;
import org.tessera.device.DeviceInfo;

/** Which cards see each other's memory, and by what those exchange that do not. */
final class PeerReport {
  private PeerReport() {}

  /** A line for each card, and one about NCCL where that is missing or needed. */
  static List<String> of(Driver driver, LibrarySearch search, List<DeviceInfo> devices) {
    if (devices.size() < 2) {
      return List.of();
    }
    List<String> lines = new ArrayList<>();
    boolean all = true;
    for (DeviceInfo device : devices) {
      List<String> seen = new ArrayList<>();
      List<String> unseen = new ArrayList<>();
      int from = driver.device(CudaBackend.ordinal(driver, device.id()));
      for (DeviceInfo peer : devices) {
        if (!peer.equals(device)) {
          int to = driver.device(CudaBackend.ordinal(driver, peer.id()));
          (driver.canAccessPeer(from, to) ? seen : unseen).add(peer.id());
        }
      }
      all &= unseen.isEmpty();
      lines.add(
          "%s sees the memory of %s%s"
              .formatted(
                  device.id(),
                  seen.isEmpty() ? "no other card" : String.join(", ", seen),
                  seen.isEmpty() || unseen.isEmpty()
                      ? ""
                      : ", not of " + String.join(", ", unseen)));
    }
    Optional<Nccl> nccl = Nccl.find(search);
    if (!all) {
      lines.add(withoutPeers(driver, search, nccl));
    } else if (nccl.isEmpty()) {
      lines.add("NCCL is not installed, and not needed where all cards see each other");
    }
    return lines;
  }

  private static String withoutPeers(Driver driver, LibrarySearch search, Optional<Nccl> nccl) {
    if (nccl.isPresent()) {
      return "ranks on cards that do not see each other exchange by NCCL " + nccl.get().version();
    }
    int major = driver.version() / 1000;
    return ("ranks on cards that do not see each other exchange through the host's memory, which is"
            + " many times slower than NCCL: %s; install it by: pip install nvidia-nccl-cu%d")
        .formatted(Nccl.describe(search), major > CudaLibraries.MIN_DRIVER_MAJOR ? 13 : 12);
  }
}
