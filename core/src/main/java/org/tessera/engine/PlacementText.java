package org.tessera.engine;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tessera.plan.Deployment;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.DeviceId;

/** Says what of a model runs where. */
public final class PlacementText {
  private final Function<DeviceId, String> names;

  /**
   * @param names the ids under which users know devices
   */
  public PlacementText(Function<DeviceId, String> names) {
    this.names = names;
  }

  /** Device ids, several joined by commas, by module prefix; the empty prefix is everything. */
  public Map<String, String> deviceMap(Deployment deployment) {
    Map<String, Set<String>> map = new LinkedHashMap<>();
    for (Replica replica : deployment.replicas()) {
      if (replica.devices().size() == 1) {
        add(map, "", replica.stages().getFirst().ranks());
        continue;
      }
      add(map, "llm.model.embed_tokens", replica.stages().getFirst().ranks());
      for (Stage stage : replica.stages()) {
        if (stage.layerCount() > 0) {
          add(map, "llm.model.layers." + layers(stage, "-"), stage.ranks());
        }
      }
      add(map, "llm.model.norm", replica.stages().getLast().ranks());
      add(map, "llm.lm_head", replica.stages().getLast().ranks());
      add(map, "vpm", replica.vision());
      add(map, "resampler", replica.vision());
    }
    Map<String, String> joined = new LinkedHashMap<>();
    map.forEach((module, ids) -> joined.put(module, String.join(",", ids)));
    return joined;
  }

  private void add(Map<String, Set<String>> map, String module, List<DeviceId> devices) {
    if (!devices.isEmpty()) {
      Set<String> ids = map.computeIfAbsent(module, key -> new LinkedHashSet<>());
      devices.forEach(device -> ids.add(names.apply(device)));
    }
  }

  private static String layers(Stage stage, String to) {
    return stage.layerCount() == 1
        ? Integer.toString(stage.firstLayer())
        : stage.firstLayer() + to + (stage.endLayer() - 1);
  }

  /** One line. */
  public String line(Deployment deployment) {
    List<String> copies = deployment.replicas().stream().map(this::copy).toList();
    return copies.size() == 1
        ? copies.getFirst()
        : "%d copies: %s".formatted(copies.size(), String.join("; ", copies));
  }

  private String copy(Replica replica) {
    List<Stage> stages = replica.stages();
    if (stages.size() == 1) {
      List<DeviceId> ranks = stages.getFirst().ranks();
      String layers =
          ranks.size() == 1
              ? "everything on " + joined(ranks)
              : "every layer cut over " + joined(ranks);
      return replica.vision().equals(ranks) ? layers : layers + pictures(replica);
    }
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < stages.size(); i++) {
      parts.add(stage(stages.get(i), i == 0));
    }
    return String.join(", ", parts) + pictures(replica);
  }

  private String stage(Stage stage, boolean first) {
    String what =
        stage.layerCount() == 0
            ? first ? "embeddings" : "head"
            : (stage.layerCount() == 1 ? "layer " : "layers ") + layers(stage, " to ");
    String how = stage.ranks().size() == 1 ? " on " : " cut over ";
    return what + how + joined(stage.ranks());
  }

  private String pictures(Replica replica) {
    return replica.vision().isEmpty()
        ? ", no pictures"
        : ", pictures on " + joined(replica.vision());
  }

  /** {@code cuda:0 and cuda:1}; a device that is named several times with its number of ranks. */
  private String joined(List<DeviceId> devices) {
    Map<String, Long> counts =
        devices.stream()
            .map(names)
            .collect(
                Collectors.groupingBy(
                    Function.identity(), LinkedHashMap::new, Collectors.counting()));
    return counts.entrySet().stream()
        .map(entry ->
            entry.getValue() == 1
                ? entry.getKey()
                : "%d ranks of %s".formatted(entry.getValue(), entry.getKey()))
        .collect(Collectors.joining(" and "));
  }
}
