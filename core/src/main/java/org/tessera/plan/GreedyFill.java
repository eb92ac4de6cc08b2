package org.tessera.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.tessera.error.PlanException;
import org.tessera.plan.ModuleTree.ModuleNode;

/**
 * One run of accelerate 1.15's {@code infer_auto_device_map}: a queue of modules, a list of devices
 * and a cursor over the devices that only moves forward.
 */
final class GreedyFill {

  /** A module of the queue, or one of a module's own tensors where {@code module} is null. */
  private record Item(String path, @Nullable ModuleNode module) {
    boolean holds(String tensor) {
      return tensor.startsWith(path + ".");
    }
  }

  private final ModuleTree tree;
  private final Map<String, Long> sizes;
  private final Set<String> noSplitClasses;
  private final SortedMap<DeviceId, Long> budgets;
  private final List<DeviceId> devices;
  private final Set<DeviceId> mainDevices;
  private final Map<DeviceId, Long> used = new TreeMap<>();
  private final Map<String, DeviceId> map = new LinkedHashMap<>();
  private List<Item> queue = new ArrayList<>();
  private int cursor;

  /**
   * The largest unit that cannot be cut among the modules not yet placed, and who has that size.
   */
  private long largestBytes;

  private List<String> largestPaths = new ArrayList<>();

  GreedyFill(
      ModuleTree tree,
      Map<String, Long> sizes,
      Set<String> noSplitClasses,
      SortedMap<DeviceId, Long> budgets) {
    this.tree = tree;
    this.sizes = sizes;
    this.noSplitClasses = noSplitClasses;
    this.budgets = budgets;
    this.devices = new ArrayList<>(budgets.keySet());
    devices.remove(DeviceId.DISK);
    this.mainDevices = mainDevices(devices);
    devices.add(DeviceId.DISK);
  }

  /** The devices that keep room for one unit brought in from a slower one. */
  private static Set<DeviceId> mainDevices(List<DeviceId> devices) {
    boolean startsWithGpu = !devices.isEmpty() && devices.getFirst().isGpu();
    return startsWithGpu ? Set.of(devices.getFirst(), DeviceId.CPU) : Set.of(DeviceId.CPU);
  }

  /** Places everything and returns the devices by path, not merged. */
  Map<String, DeviceId> run() {
    queue = ownParametersAndChildren(tree.root());
    tree.root().buffers().forEach(buffer -> queue.add(new Item(buffer.name(), null)));
    findLargest(queue);
    while (!queue.isEmpty()) {
      Item item = queue.removeFirst();
      forgetLargest(item);
      if (!place(item) && !split(item)) {
        used.merge(device(), reserve(), Math::addExact);
        cursor++;
        queue.addFirst(item);
      }
    }
    return map;
  }

  private DeviceId device() {
    return devices.get(cursor);
  }

  private long reserve() {
    return mainDevices.contains(device()) ? largestBytes : 0;
  }

  /** Bytes that the current device may hold, its reserve taken off. */
  private long usable() {
    return device().equals(DeviceId.DISK)
        ? Long.MAX_VALUE
        : budgets.getOrDefault(device(), 0L) - reserve();
  }

  private long usedOnDevice() {
    return used.getOrDefault(device(), 0L);
  }

  /** Places the item and whatever shares tensors with it, where all of that fits. */
  private boolean place(Item item) {
    List<String> tied = tiedElsewhere(item.path());
    List<Item> partners = tied.stream().map(this::holder).toList();
    long need = size(item.path());
    for (int i = 0; i < partners.size(); i++) {
      need += size(partners.get(i).path()) - size(tied.get(i));
    }
    if (usedOnDevice() + need > usable()) {
      return false;
    }
    used.merge(device(), need, Math::addExact);
    map.put(item.path(), device());
    for (Item partner : partners) {
      queue.remove(partner);
      map.put(partner.path(), device());
    }
    return true;
  }

  /** Puts a partner's parts, or else the item's own, into the queue instead of it. */
  private boolean split(Item item) {
    List<String> tied = tiedElsewhere(item.path());
    if (!tied.isEmpty() && usedOnDevice() + size(item.path()) <= usable()) {
      for (Item partner : tied.stream().map(this::holder).toList()) {
        if (isDivisible(partner)) {
          int index = queue.indexOf(partner);
          queue.remove(index);
          queue.addAll(index, ownParametersAndChildren(partner.module()));
          queue.addFirst(item);
          findLargest(modules(queue));
          return true;
        }
      }
    }
    if (usedOnDevice() + size(item.path()) >= usable() && isDivisible(item)) {
      queue.addAll(0, ownParametersAndChildren(item.module()));
      findLargest(modules(queue));
      return true;
    }
    return false;
  }

  /**
   * Tied parameters outside of {@code path} whose group has a member inside. The original looks for
   * the path anywhere in a name, not only at its beginning.
   */
  private List<String> tiedElsewhere(String path) {
    List<String> elsewhere = new ArrayList<>();
    for (List<String> group : tree.tiedParameters()) {
      List<String> outside =
          group.stream().filter(name -> !(name + ".").contains(path + ".")).toList();
      if (outside.size() < group.size()) {
        elsewhere.addAll(outside);
      }
    }
    return elsewhere;
  }

  private Item holder(String tiedParameter) {
    return queue.stream()
        .filter(item -> item.holds(tiedParameter))
        .findFirst()
        .orElseThrow(() ->
            new PlanException(
                ("accelerate's strategies cannot place the tied parameter %s: the module that"
                        + " holds it had to be cut")
                    .formatted(tiedParameter)));
  }

  private boolean isDivisible(Item item) {
    ModuleNode module = item.module();
    return module != null
        && !tree.children(module).isEmpty()
        && !noSplitClasses.contains(module.className());
  }

  /** Buffers are left out, as in the original: they go where the module's execution is. */
  private List<Item> ownParametersAndChildren(@Nullable ModuleNode module) {
    List<Item> items = new ArrayList<>();
    if (module != null) {
      module.parameters().forEach(tensor -> items.add(new Item(module.path(tensor.name()), null)));
      tree.children(module).forEach(child -> items.add(new Item(child.name(), child)));
    }
    return items;
  }

  private void forgetLargest(Item item) {
    largestPaths.removeIf(path -> path.equals(item.path()) || item.holds(path));
    if (largestPaths.isEmpty()) {
      findLargest(modules(queue));
    }
  }

  private static List<Item> modules(List<Item> items) {
    return items.stream().filter(item -> item.module() != null).toList();
  }

  private void findLargest(List<Item> items) {
    largestBytes = 0;
    largestPaths = new ArrayList<>();
    items.forEach(this::compareWithLargest);
  }

  private void compareWithLargest(Item item) {
    ModuleNode module = item.module();
    if (module != null && isDivisible(item)) {
      tree.children(module).forEach(child -> compareWithLargest(new Item(child.name(), child)));
      return;
    }
    long bytes = size(item.path());
    if (bytes > largestBytes) {
      largestBytes = bytes;
      largestPaths.clear();
    }
    if (bytes == largestBytes) {
      largestPaths.add(item.path());
    }
  }

  private long size(String path) {
    return sizes.getOrDefault(path, 0L);
  }
}
