package org.tessera.plan;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;

/**
 * The modules of a model with their parameters and buffers, as PyTorch would list them: parents
 * before children, children in the order in which they are registered.
 */
public final class ModuleTree {

  /** A parameter or buffer under its name within the module. */
  public record TensorSpec(String name, Shape shape, DType dtype) {}

  /**
   * A module.
   *
   * @param name dotted path from the root, whose own name is empty
   * @param className of the Hugging Face implementation
   */
  public record ModuleNode(
      String name, String className, List<TensorSpec> parameters, List<TensorSpec> buffers) {
    public ModuleNode {
      parameters = List.copyOf(parameters);
      buffers = List.copyOf(buffers);
    }

    /** The dotted path of something inside this module. */
    public String path(String localName) {
      return name.isEmpty() ? localName : name + "." + localName;
    }
  }

  private final Map<String, ModuleNode> nodes = new LinkedHashMap<>();
  private final Map<String, List<ModuleNode>> children = new LinkedHashMap<>();
  private final Map<String, TensorSpec> parameters = new LinkedHashMap<>();
  private final Map<String, TensorSpec> buffers = new LinkedHashMap<>();
  private final Map<String, String> tieOwners = new LinkedHashMap<>();
  private final List<List<String>> tiedParameters;

  /**
   * @param modules the root first, each parent before its children
   * @param tiedParameters groups of parameter paths that are one tensor
   * @throws IllegalArgumentException where a module has no parent or comes twice, or a tied name is
   *     no parameter
   */
  public ModuleTree(List<ModuleNode> modules, List<List<String>> tiedParameters) {
    modules.forEach(this::add);
    this.tiedParameters =
        tiedParameters.stream().map(group -> group.stream().sorted().toList()).toList();
    this.tiedParameters.forEach(this::tie);
  }

  private void add(ModuleNode node) {
    boolean isRoot = node.name().isEmpty();
    if (isRoot != nodes.isEmpty() || nodes.put(node.name(), node) != null) {
      throw new IllegalArgumentException("module \"" + node.name() + "\" is out of order");
    }
    children.put(node.name(), new ArrayList<>());
    if (!isRoot) {
      int dot = node.name().lastIndexOf('.');
      List<ModuleNode> siblings = children.get(dot < 0 ? "" : node.name().substring(0, dot));
      if (siblings == null) {
        throw new IllegalArgumentException("module \"" + node.name() + "\" has no parent");
      }
      siblings.add(node);
    }
    node.parameters().forEach(tensor -> parameters.put(node.path(tensor.name()), tensor));
    node.buffers().forEach(tensor -> buffers.put(node.path(tensor.name()), tensor));
  }

  /** The first name of a group to be registered owns the tensor. */
  private void tie(List<String> group) {
    @Nullable String owner = null;
    for (String name : parameters.keySet()) {
      if (group.contains(name)) {
        owner = owner == null ? name : owner;
        tieOwners.put(name, owner);
      }
    }
    if (!tieOwners.keySet().containsAll(group)) {
      throw new IllegalArgumentException("tied names that are no parameters: " + group);
    }
  }

  public ModuleNode root() {
    return modules().getFirst();
  }

  /** All modules, parents first. */
  public List<ModuleNode> modules() {
    return List.copyOf(nodes.values());
  }

  public @Nullable ModuleNode module(String name) {
    return nodes.get(name);
  }

  public List<ModuleNode> children(ModuleNode node) {
    return Collections.unmodifiableList(children.getOrDefault(node.name(), List.of()));
  }

  /** Every parameter by its path, in the order of registration, tied ones under each name. */
  public Map<String, TensorSpec> parameters() {
    return Collections.unmodifiableMap(parameters);
  }

  /**
   * The shapes of the tensors that a checkpoint of this model holds, by name, in the order of
   * registration: of tied parameters only the one that owns the tensor.
   */
  public Map<String, Shape> checkpointShapes() {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    parameters.forEach((name, tensor) -> {
      if (owner(name).equals(name)) {
        shapes.put(name, tensor.shape());
      }
    });
    return shapes;
  }

  /** Every buffer by its path, in the order of registration. */
  public Map<String, TensorSpec> buffers() {
    return Collections.unmodifiableMap(buffers);
  }

  /** Groups of parameters that are one tensor, the names of each group sorted. */
  public List<List<String>> tiedParameters() {
    return tiedParameters;
  }

  /** The name under which a tied tensor is counted; any other parameter's own name. */
  public String owner(String parameter) {
    return tieOwners.getOrDefault(parameter, parameter);
  }
}
