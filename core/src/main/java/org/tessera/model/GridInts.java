package org.tessera.model;

import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.image.PatchGrid;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Ints on a device that depend on nothing but patch grids: they stay there and serve all pictures
 * that follow with the same grids, as slices of one size do.
 */
final class GridInts {
  private static final int LEAST_CAPACITY = 1024;

  private final Device device;
  private final DeviceMemory region;
  private List<PatchGrid> grids = List.of();
  private @Nullable Tensor memory;
  private @Nullable Tensor current;

  /**
   * @param region stays open as long as this is used; of what is outgrown nothing is given back, so
   *     that each piece has at least twice the size of the last
   */
  GridInts(Device device, DeviceMemory region) {
    this.device = device;
    this.region = region;
  }

  /**
   * The ints of these grids: I32 [1, length].
   *
   * @param values asked where the last grids were others
   */
  Tensor of(List<PatchGrid> grids, Supplier<int[]> values) {
    Tensor kept = current;
    if (kept != null && grids.equals(this.grids)) {
      return kept;
    }
    current = null;
    int[] ints = values.get();
    Tensor target = memory(ints.length).columns(0, ints.length);
    device.upload(ints, target);
    this.grids = List.copyOf(grids);
    current = target;
    return target;
  }

  private Tensor memory(int length) {
    Tensor held = memory;
    if (held == null || held.columns() < length) {
      int capacity = Math.max(length, held == null ? LEAST_CAPACITY : 2 * held.columns());
      held = region.allocate(DType.I32, 1, capacity);
      memory = held;
    }
    return held;
  }
}
