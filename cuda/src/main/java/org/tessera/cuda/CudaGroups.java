package org.tessera.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.cuda.ffm.Nccl;
import org.tessera.device.Device;
import org.tessera.parallel.RankGroup;
import org.tessera.parallel.RankGroups;

/**
 * Connects GPUs: by our kernels where all see each other's memory, by NCCL where they do not. Where
 * neither is possible ranks exchange through host memory, and {@link CudaBackend#probe} has said
 * so.
 */
public final class CudaGroups implements RankGroups.Provider {
  private final LibrarySearch search;

  /** With this machine's libraries. */
  public CudaGroups() {
    this(LibrarySearch.ofSystem());
  }

  /**
   * @param search where NCCL is looked for
   */
  public CudaGroups(LibrarySearch search) {
    this.search = search;
  }

  /**
   * {@inheritDoc} GPUs that it cannot connect {@linkplain CudaDevice#recordsWork record} nothing
   * from then on: what goes through the host cannot be part of a graph.
   *
   * @throws org.tessera.error.DeviceException where the devices can be connected and the attempt
   *     fails, memory being short or NCCL reporting an error
   */
  @Override
  public Optional<RankGroup> connect(List<Device> devices) {
    List<CudaDevice> cards = new ArrayList<>();
    for (Device device : devices) {
      if (device instanceof CudaDevice card) {
        cards.add(card);
      }
    }
    if (devices.size() < 2) {
      return Optional.empty();
    }
    Optional<RankGroup> group =
        cards.size() == devices.size() && areDifferentCards(cards)
            ? connectCards(cards)
            : Optional.empty();
    if (group.isEmpty()) {
      cards.forEach(CudaDevice::stopRecording);
    }
    return group;
  }

  private Optional<RankGroup> connectCards(List<CudaDevice> cards) {
    if (cards.size() <= PeerTransport.MAX_RANKS && seeEachOther(cards)) {
      return Optional.of(new CudaGroup(cards, PeerTransport::new));
    }
    return Nccl.find(search)
        .map(nccl -> new CudaGroup(cards, members -> new NcclTransport(nccl, members)));
  }

  /**
   * Kernels of two ranks that wait for each other must run at the same time, which one card does
   * not promise; and the ranks must agree on what an element is.
   */
  private static boolean areDifferentCards(List<CudaDevice> cards) {
    for (int i = 0; i < cards.size(); i++) {
      for (CudaDevice other : cards.subList(i + 1, cards.size())) {
        CudaDevice card = cards.get(i);
        if (card.context().isSameDevice(other.context())
            || card.activationType() != other.activationType()) {
          return false;
        }
      }
    }
    return true;
  }

  /** Asks of every pair in both directions, and allows what is possible. */
  private static boolean seeEachOther(List<CudaDevice> cards) {
    boolean all = true;
    for (CudaDevice a : cards) {
      for (CudaDevice b : cards) {
        all &= a == b || a.context().reaches(b.context());
      }
    }
    return all;
  }
}
