package org.tessera.plan;

import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.tessera.plan.ModuleTree.ModuleNode;

/** accelerate 1.15's {@code get_balanced_memory}. */
final class BalancedMemory {
  private static final double HEADROOM = 1.25;

  private final ModuleTree tree;
  private final Map<String, Long> sizes;
  private final Collection<String> noSplitClasses;

  BalancedMemory(ModuleTree tree, Map<String, Long> sizes, Collection<String> noSplitClasses) {
    this.tree = tree;
    this.sizes = sizes;
    this.noSplitClasses = noSplitClasses;
  }

  /**
   * Lowers the budgets of GPUs so that each gets about the same.
   *
   * @param lowZero whether GPU 0 gets only what the others cannot hold
   */
  SortedMap<DeviceId, Long> balance(SortedMap<DeviceId, Long> maxMemory, boolean lowZero) {
    SortedMap<DeviceId, Long> balanced = new TreeMap<>(maxMemory);
    List<DeviceId> gpus =
        maxMemory.keySet().stream()
            .filter(device -> device.isGpu() && maxMemory.getOrDefault(device, 0L) > 0)
            .toList();
    if (gpus.isEmpty()) {
      return balanced;
    }
    boolean spareZero = lowZero && gpus.size() > 1;
    long total = sizes.getOrDefault("", 0L);
    long perGpu = total / (spareZero ? gpus.size() - 1 : gpus.size()) + headroomBytes();
    DeviceId zero = maxMemory.firstKey();
    for (DeviceId gpu : gpus.subList(0, gpus.size() - 1)) {
      // The last GPU keeps its whole budget: rounding must not spill to the CPU.
      if (!(spareZero && gpu.equals(zero))) {
        balanced.merge(gpu, perGpu, Math::min);
      }
    }
    if (spareZero) {
      long elsewhere =
          others(balanced, gpus.size()).stream()
              .mapToLong(gpu -> balanced.getOrDefault(gpu, 0L))
              .sum();
      balanced.merge(zero, Math.max(0, total - elsewhere), Math::min);
    }
    return balanced;
  }

  /**
   * The GPUs beside the first whose budgets count. accelerate takes those numbered 1 to {@code
   * gpuCount - 1} and fails where one is not listed; then the listed ones are meant.
   */
  private static List<DeviceId> others(SortedMap<DeviceId, Long> budgets, int gpuCount) {
    return budgets.keySet().stream().filter(DeviceId::isGpu).skip(1).limit(gpuCount - 1L).toList();
  }

  /** Room above an even share: the largest block that may not be cut, or a mean module. */
  private long headroomBytes() {
    return (long) (HEADROOM * Math.max(largestNoSplitBytes(), meanLastModuleBytes()));
  }

  /** Of each class that may not be cut the first module counts, as accelerate has it. */
  private long largestNoSplitBytes() {
    Map<String, Long> firstOfClass = new HashMap<>();
    sizes.forEach((path, bytes) -> {
      @Nullable ModuleNode module = path.isEmpty() ? null : tree.module(path);
      if (module != null && noSplitClasses.contains(module.className())) {
        firstOfClass.putIfAbsent(module.className(), bytes);
      }
    });
    return firstOfClass.values().stream().mapToLong(Long::longValue).max().orElse(0);
  }

  /** Mean size of the modules that hold tensors and no modules that do. */
  private long meanLastModuleBytes() {
    Map<String, Long> modules = new LinkedHashMap<>(sizes);
    modules.keySet().removeAll(leaves(sizes.keySet()));
    Set<String> last = leaves(modules.keySet());
    double sum = last.stream().mapToLong(path -> modules.getOrDefault(path, 0L)).sum();
    return (long) (sum / Math.max(last.size(), 1));
  }

  private static Set<String> leaves(Set<String> paths) {
    Set<String> parents = new HashSet<>();
    for (String path : paths) {
      int dot = path.lastIndexOf('.');
      if (dot >= 0) {
        parents.add(path.substring(0, dot));
      }
    }
    Set<String> leaves = new HashSet<>(paths);
    leaves.removeAll(parents);
    leaves.remove("");
    return leaves;
  }
}
