package org.tessera.plan;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.tessera.error.PlanException;
import org.tessera.plan.ModuleTree.ModuleNode;

/**
 * Devices by module or parameter path. The longest path that is the name or a whole-segment prefix
 * of it decides; the empty path stands for everything.
 */
public record Placement(Map<String, DeviceId> byPrefix) {
  private static final int NAMES_SHOWN = 8;

  public Placement {
    byPrefix = Collections.unmodifiableMap(new LinkedHashMap<>(byPrefix));
  }

  /** Everything on one device. */
  public static Placement everythingOn(DeviceId device) {
    return new Placement(Map.of("", device));
  }

  /** Where a module, parameter or buffer lies; null where no key covers it. */
  public @Nullable DeviceId deviceOf(String path) {
    String prefix = path;
    while (true) {
      DeviceId device = byPrefix.get(prefix);
      if (device != null || prefix.isEmpty()) {
        return device;
      }
      prefix = prefix.substring(0, Math.max(prefix.lastIndexOf('.'), 0));
    }
  }

  /** Keys that name neither a module nor a parameter nor a buffer of the model. */
  public List<String> unknownKeys(ModuleTree tree) {
    return byPrefix.keySet().stream()
        .filter(key ->
            tree.module(key) == null
                && !tree.parameters().containsKey(key)
                && !tree.buffers().containsKey(key))
        .toList();
  }

  /**
   * Checks that every parameter has a device. Buffers are computed, not loaded: they need none.
   *
   * @throws PlanException naming the parameters that have none
   */
  public void requireCoverageOf(ModuleTree tree) {
    List<String> uncovered =
        tree.parameters().keySet().stream().filter(path -> deviceOf(path) == null).toList();
    if (!uncovered.isEmpty()) {
      throw new PlanException(
          "the device map gives no device to %d of %d parameters: %s"
              .formatted(uncovered.size(), tree.parameters().size(), abridged(uncovered)));
    }
  }

  /** The same placement in the fewest keys, in the order of registration. */
  public Placement merged(ModuleTree tree) {
    return new Placement(merged(tree, this::deviceOf));
  }

  /**
   * What each tensor has, in the fewest keys and in the order of registration.
   *
   * @param valueOf a tensor's path; null where it has nothing
   */
  static <T> Map<String, T> merged(ModuleTree tree, Function<String, @Nullable T> valueOf) {
    Map<String, T> merged = new LinkedHashMap<>();
    merge(tree, tree.root(), valueOf, merged);
    return merged;
  }

  private static <T> void merge(
      ModuleTree tree,
      ModuleNode node,
      Function<String, @Nullable T> valueOf,
      Map<String, T> merged) {
    Set<T> values = new HashSet<>();
    collect(tree, node, valueOf, values);
    if (values.size() == 1) {
      merged.put(node.name(), values.iterator().next());
      return;
    }
    for (String tensor : tensors(node)) {
      T value = valueOf.apply(tensor);
      if (value != null) {
        merged.put(tensor, value);
      }
    }
    tree.children(node).forEach(child -> merge(tree, child, valueOf, merged));
  }

  private static <T> void collect(
      ModuleTree tree, ModuleNode node, Function<String, @Nullable T> valueOf, Set<T> values) {
    for (String tensor : tensors(node)) {
      T value = valueOf.apply(tensor);
      if (value != null) {
        values.add(value);
      }
    }
    tree.children(node).forEach(child -> collect(tree, child, valueOf, values));
  }

  private static List<String> tensors(ModuleNode node) {
    List<String> paths = new ArrayList<>();
    node.parameters().forEach(tensor -> paths.add(node.path(tensor.name())));
    node.buffers().forEach(tensor -> paths.add(node.path(tensor.name())));
    return paths;
  }

  /** The devices named, each once, in the order of the keys. */
  public Set<DeviceId> devices() {
    return new LinkedHashSet<>(byPrefix.values());
  }

  static String abridged(List<String> names) {
    String shown = String.join(", ", names.stream().limit(NAMES_SHOWN).map(Printable::of).toList());
    return names.size() <= NAMES_SHOWN
        ? shown
        : "%s and %d more".formatted(shown, names.size() - NAMES_SHOWN);
  }
}
