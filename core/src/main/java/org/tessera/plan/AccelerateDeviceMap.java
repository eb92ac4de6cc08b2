package org.tessera.plan;

import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import org.tessera.tensor.DType;

/**
 * The device maps that accelerate 1.15 computes, key by key: {@code get_balanced_memory} followed
 * by {@code infer_auto_device_map}, without fallback allocation and without offloaded buffers.
 *
 * <p>Two things differ where the original has no answer of its own: numbers of GPUs with gaps are
 * used as they are in {@code balanced_low_0}, where the original fails; and where several groups of
 * sibling modules are merged their keys follow the order of registration, where the original
 * iterates over a hash set.
 */
public final class AccelerateDeviceMap {
  private final ModuleTree tree;
  private final Map<String, Long> sizes;
  private final Set<String> noSplitClasses;

  /**
   * @param dtype in which the model is to be loaded
   * @param noSplitClasses names of classes whose modules stay whole
   */
  public AccelerateDeviceMap(ModuleTree tree, DType dtype, Collection<String> noSplitClasses) {
    this.tree = tree;
    this.sizes = ModuleSizes.of(tree, tensor -> ModuleSizes.accelerateBytes(tensor, dtype));
    this.noSplitClasses = Set.copyOf(noSplitClasses);
  }

  /** The budgets that a strategy leaves of those given. */
  public SortedMap<DeviceId, Long> budgets(Strategy strategy, SortedMap<DeviceId, Long> maxMemory) {
    if (strategy == Strategy.SEQUENTIAL) {
      return Collections.unmodifiableSortedMap(maxMemory);
    }
    BalancedMemory balance = new BalancedMemory(tree, sizes, noSplitClasses);
    return Collections.unmodifiableSortedMap(
        balance.balance(maxMemory, strategy == Strategy.BALANCED_LOW_0));
  }

  /**
   * Fills the devices one after the other; what fits on none goes to the disk.
   *
   * @param budgets bytes of weights for each device
   * @return devices by module path, merged where neighbours share one
   */
  public Map<String, DeviceId> infer(SortedMap<DeviceId, Long> budgets) {
    Map<String, DeviceId> map = new GreedyFill(tree, sizes, noSplitClasses, budgets).run();
    merge(map, "");
    return Collections.unmodifiableMap(map);
  }

  /** Replaces the keys below {@code module} by one where they share a device, then goes deeper. */
  private static void merge(Map<String, DeviceId> map, String module) {
    String prefix = module.isEmpty() ? "" : module + ".";
    List<String> below = map.keySet().stream().filter(key -> key.startsWith(prefix)).toList();
    Set<DeviceId> devices = new LinkedHashSet<>();
    below.forEach(key -> devices.add(map.getOrDefault(key, DeviceId.DISK)));
    if (below.size() > 1 && devices.size() == 1) {
      map.keySet().removeAll(below);
      // At the end, where the original puts a merged key.
      map.put(module, devices.iterator().next());
      return;
    }
    Set<String> children = new LinkedHashSet<>();
    for (String key : below) {
      int end = key.indexOf('.', prefix.length());
      String child = end < 0 ? key : key.substring(0, end);
      if (child.length() > module.length()) {
        children.add(child);
      }
    }
    children.forEach(child -> merge(map, child));
  }
}
