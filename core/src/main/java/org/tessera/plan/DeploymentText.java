package org.tessera.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;

/** Deployments as users read them: in words, as a device map, as JSON. */
final class DeploymentText {
  private DeploymentText() {}

  /** What lies where, in one line. */
  static String describe(Deployment deployment) {
    return deployment.replicas().stream()
        .map(DeploymentText::describe)
        .collect(Collectors.joining("; "));
  }

  private static String describe(Replica replica) {
    Stage first = replica.stages().getFirst();
    if (replica.stages().size() == 1) {
      boolean alike = new TreeSet<>(replica.vision()).equals(new TreeSet<>(first.ranks()));
      String vision = alike ? "" : ", " + vision(replica);
      return first.ranks().size() == 1 && alike
          ? "everything on " + first.ranks().getFirst()
          : layers(first) + vision;
    }
    List<String> parts = new ArrayList<>();
    replica.stages().stream()
        .filter(stage -> stage.layerCount() > 0)
        .forEach(stage -> parts.add(layers(stage)));
    parts.add(vision(replica));
    parts.add("embeddings on " + names(first.ranks()));
    parts.add("head on " + names(replica.stages().getLast().ranks()));
    return String.join(", ", parts);
  }

  private static String layers(Stage stage) {
    return "layers %d to %d %s %s"
        .formatted(
            stage.firstLayer(),
            stage.endLayer() - 1,
            stage.ranks().size() == 1 ? "on" : "cut over",
            names(stage.ranks()));
  }

  private static String vision(Replica replica) {
    return replica.vision().isEmpty()
        ? "no vision tower"
        : "vision tower and resampler on " + names(replica.vision());
  }

  /** {@code GPU 0, GPU 1 and GPU 2}. */
  private static String names(List<DeviceId> devices) {
    String last = devices.getLast().toString();
    return devices.size() == 1
        ? last
        : devices.stream()
            .limit(devices.size() - 1)
            .map(DeviceId::toString)
            .collect(Collectors.joining(", ", "", " and " + last));
  }

  /**
   * Device labels by module path, neighbours merged; where a module is cut over several devices, or
   * several have a copy, their labels with commas between.
   */
  static Map<String, String> deviceMap(Deployment deployment, ModuleTree tree) {
    return Placement.merged(tree, path -> labels(deployment, path));
  }

  private static String labels(Deployment deployment, String path) {
    SortedSet<DeviceId> devices = new TreeSet<>();
    for (Replica replica : deployment.replicas()) {
      devices.addAll(devices(replica, path));
    }
    return devices.stream().map(DeviceId::label).collect(Collectors.joining(","));
  }

  private static List<DeviceId> devices(Replica replica, String path) {
    if (isBelow(path, MiniCpmModules.VISION) || isBelow(path, MiniCpmModules.RESAMPLER)) {
      return replica.vision();
    }
    if (isBelow(path, MiniCpmModules.EMBED_TOKENS)) {
      return replica.stages().getFirst().ranks();
    }
    if (!isBelow(path, MiniCpmModules.LAYERS)) {
      return replica.stages().getLast().ranks();
    }
    String number = path.substring(MiniCpmModules.LAYERS.length() + 1).split("\\.", 2)[0];
    int layer = Integer.parseInt(number);
    return replica.stages().stream()
        .filter(stage -> stage.firstLayer() <= layer && layer < stage.endLayer())
        .findFirst()
        .orElseThrow()
        .ranks();
  }

  private static boolean isBelow(String path, String module) {
    return path.startsWith(module + ".");
  }

  /**
   * {@code {"replicas": [{"stages": [{"ranks", "first_layer", "end_layer"}], "vision": [..]}]}}.
   */
  static Map<String, Object> toJson(Deployment deployment) {
    return Map.of(
        "replicas", deployment.replicas().stream().map(DeploymentText::replicaJson).toList());
  }

  private static Map<String, Object> replicaJson(Replica replica) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("stages", replica.stages().stream().map(DeploymentText::stageJson).toList());
    json.put("vision", labels(replica.vision()));
    return json;
  }

  private static Map<String, Object> stageJson(Stage stage) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("ranks", labels(stage.ranks()));
    json.put("first_layer", stage.firstLayer());
    json.put("end_layer", stage.endLayer());
    return json;
  }

  private static List<String> labels(List<DeviceId> devices) {
    return devices.stream().map(DeviceId::label).toList();
  }
}
