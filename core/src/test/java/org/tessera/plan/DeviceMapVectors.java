package org.tessera.plan;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tessera.plan.ModuleTree.ModuleNode;
import org.tessera.plan.ModuleTree.TensorSpec;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Files that hold a module tree and the device maps that accelerate computed for it. */
record DeviceMapVectors(ModuleTree tree, DType dtype, List<Case> cases) {

  record Case(
      Strategy strategy,
      List<String> noSplitClasses,
      SortedMap<DeviceId, Long> maxMemory,
      SortedMap<DeviceId, Long> balancedMemory,
      Map<String, String> deviceMap) {}

  private static final JsonMapper JSON = new JsonMapper();

  /** The reference vectors of the project, or of the directory that a system property names. */
  static Optional<Path> file() {
    String named = System.getProperty("conformance.dir", "");
    Path directory =
        named.isEmpty()
            ? Path.of(System.getProperty("project.root"), "conformance")
            : Path.of(named);
    return Optional.of(directory.resolve("device_map.json")).filter(Files::exists);
  }

  static DeviceMapVectors read(Path file) {
    return of(JSON.readTree(file));
  }

  /** Several trees in one file of the test resources. */
  static List<DeviceMapVectors> readAll(InputStream in) {
    List<DeviceMapVectors> all = new ArrayList<>();
    JSON.readTree(in).forEach(node -> all.add(of(node)));
    return all;
  }

  private static DeviceMapVectors of(JsonNode root) {
    List<ModuleNode> modules = new ArrayList<>();
    for (JsonNode module : root.get("modules")) {
      modules.add(
          new ModuleNode(
              module.get("name").asString(),
              module.get("cls").asString(),
              tensors(module.get("params")),
              tensors(module.get("buffers"))));
    }
    List<List<String>> tied = new ArrayList<>();
    if (root.has("tied")) {
      root.get("tied").forEach(group -> tied.add(strings(group)));
    }
    List<Case> cases = new ArrayList<>();
    root.get("cases").forEach(node -> cases.add(toCase(node)));
    DType dtype = dtype(root.get("dtype").asString());
    return new DeviceMapVectors(new ModuleTree(modules, tied), dtype, cases);
  }

  private static Case toCase(JsonNode node) {
    Map<String, String> deviceMap = new LinkedHashMap<>();
    node.get("device_map")
        .properties()
        .forEach(entry -> deviceMap.put(entry.getKey(), entry.getValue().asString()));
    return new Case(
        Strategy.named(node.get("strategy").asString()).orElseThrow(),
        strings(node.get("no_split_module_classes")),
        budgets(node.get("max_memory")),
        budgets(node.get("balanced_memory")),
        deviceMap);
  }

  private static SortedMap<DeviceId, Long> budgets(JsonNode node) {
    SortedMap<DeviceId, Long> budgets = new TreeMap<>();
    node.properties()
        .forEach(entry -> budgets.put(DeviceId.parse(entry.getKey()), entry.getValue().asLong()));
    return budgets;
  }

  private static List<TensorSpec> tensors(JsonNode node) {
    List<TensorSpec> tensors = new ArrayList<>();
    node.properties()
        .forEach(entry -> {
          JsonNode value = entry.getValue();
          JsonNode shape = value.isArray() ? value : value.get("shape");
          String dtype = value.isArray() ? "torch.float32" : value.get("dtype").asString();
          List<Integer> dimensions = new ArrayList<>();
          shape.forEach(dimension -> dimensions.add(dimension.asInt()));
          tensors.add(new TensorSpec(entry.getKey(), new Shape(dimensions), dtype(dtype)));
        });
    return tensors;
  }

  private static List<String> strings(JsonNode node) {
    List<String> strings = new ArrayList<>();
    node.forEach(item -> strings.add(item.asString()));
    return strings;
  }

  private static DType dtype(String name) {
    return switch (name.replace("torch.", "")) {
      case "float32" -> DType.F32;
      case "float16" -> DType.F16;
      case "bfloat16" -> DType.BF16;
      case "int32" -> DType.I32;
      default -> throw new IllegalArgumentException("unknown dtype " + name);
    };
  }
}
