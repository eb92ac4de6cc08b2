package org.tessera.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.tessera.error.PlanException;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;

/**
 * What the engine makes of a device map: one copy of the model in stages of whole layers. What runs
 * as one piece must lie on one device: a decoder layer, the vision tower, the resampler.
 *
 * @param placement the map, with that moved which could not stay apart
 * @param notes about what was moved, each one sentence
 */
record MapDeployment(Deployment deployment, Placement placement, List<String> notes) {

  /**
   * @param placement covers every parameter
   * @param what the map is called in sentences
   * @param movesResampler whether a resampler apart from the vision tower follows it, as it may
   *     where no user said otherwise
   * @throws PlanException where the map cuts what runs as one piece
   */
  static MapDeployment of(
      Placement placement, ModuleTree tree, ModelSizes sizes, String what, boolean movesResampler) {
    Map<String, DeviceId> moved = new LinkedHashMap<>(placement.byPrefix());
    List<String> notes = new ArrayList<>();
    DeviceId vision = whole(placement, tree, MiniCpmModules.VISION, what);
    DeviceId resampler = whole(placement, tree, MiniCpmModules.RESAMPLER, what);
    if (!resampler.equals(vision)) {
      if (!movesResampler) {
        throw new PlanException(
            ("%s puts vpm on %s and resampler on %s, and the two run together: map both to the same"
                    + " device")
                .formatted(what, vision, resampler));
      }
      move(moved, MiniCpmModules.RESAMPLER, vision);
      notes.add("resampler is on %s and not on %s, beside vpm".formatted(vision, resampler));
    }
    DeviceId norm = whole(placement, tree, MiniCpmModules.FINAL_NORM, what);
    DeviceId head = whole(placement, tree, MiniCpmModules.LM_HEAD, what);
    if (!norm.equals(head)) {
      move(moved, MiniCpmModules.FINAL_NORM, head);
      notes.add("llm.model.norm is on %s and not on %s, beside llm.lm_head".formatted(head, norm));
    }
    List<DeviceId> layers = new ArrayList<>();
    for (int layer = 0; layer < sizes.numHiddenLayers(); layer++) {
      layers.add(whole(placement, tree, MiniCpmModules.LAYERS + "." + layer, what));
    }
    DeviceId embedding = whole(placement, tree, MiniCpmModules.EMBED_TOKENS, what);
    Deployment deployment =
        new Deployment(List.of(new Replica(stages(embedding, layers, head), List.of(vision))));
    return new MapDeployment(deployment, new Placement(moved), List.copyOf(notes));
  }

  private static void move(Map<String, DeviceId> map, String module, DeviceId device) {
    map.keySet().removeIf(key -> key.startsWith(module + "."));
    map.put(module, device);
  }

  private static List<Stage> stages(DeviceId embedding, List<DeviceId> layers, DeviceId head) {
    List<Stage> stages = new ArrayList<>();
    DeviceId device = embedding;
    int first = 0;
    for (int layer = 0; layer < layers.size(); layer++) {
      if (!layers.get(layer).equals(device)) {
        stages.add(new Stage(List.of(device), first, layer));
        device = layers.get(layer);
        first = layer;
      }
    }
    stages.add(new Stage(List.of(device), first, layers.size()));
    if (!head.equals(device)) {
      stages.add(new Stage(List.of(head), layers.size(), layers.size()));
    }
    return stages;
  }

  private static DeviceId whole(Placement placement, ModuleTree tree, String module, String what) {
    SortedSet<DeviceId> devices = new TreeSet<>();
    for (String path : tree.parameters().keySet()) {
      DeviceId device = path.startsWith(module + ".") ? placement.deviceOf(path) : null;
      if (device != null) {
        devices.add(device);
      }
    }
    if (devices.size() != 1) {
      throw new PlanException(
          "%s cuts %s over %s, and it runs as one piece: map %s to one of them"
              .formatted(
                  what,
                  module,
                  devices.stream().map(DeviceId::toString).collect(Collectors.joining(" and ")),
                  module));
    }
    return devices.first();
  }
}
