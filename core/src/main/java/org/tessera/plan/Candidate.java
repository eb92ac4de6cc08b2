package org.tessera.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import org.tessera.plan.Plan.PerDevice;

/** A way to lay the model over devices that fits, with the bytes it is predicted to take. */
sealed interface Candidate {
  Placement placement();

  SortedMap<DeviceId, PerDevice> predicted();

  /** One line for the user. */
  String reason();

  /** Everything on one device. */
  record OneDevice(DeviceId device, SortedMap<DeviceId, PerDevice> predicted, String why)
      implements Candidate {
    @Override
    public Placement placement() {
      return Placement.everythingOn(device);
    }

    @Override
    public String reason() {
      return "everything on %s: %s".formatted(device, why);
    }
  }

  /** Whole decoder layers in contiguous stages, one after the other. */
  record LayerStages(Layout layout, SortedMap<DeviceId, PerDevice> predicted, String why)
      implements Candidate {
    @Override
    public Placement placement() {
      return layout.placement();
    }

    @Override
    public String reason() {
      return "%s: %s".formatted(layout.describe(), why);
    }
  }

  /**
   * Where the parts of a staged model lie.
   *
   * @param stages devices with layers, in order
   * @param vision device of the vision tower and the resampler, which stay whole
   */
  record Layout(List<Stage> stages, DeviceId vision, DeviceId embedding, DeviceId head) {
    Placement placement() {
      Map<String, DeviceId> byPrefix = new LinkedHashMap<>();
      byPrefix.put(MiniCpmModules.EMBED_TOKENS, embedding);
      for (Stage stage : stages) {
        for (int layer = stage.firstLayer(); layer <= stage.lastLayer(); layer++) {
          byPrefix.put(MiniCpmModules.LAYERS + "." + layer, stage.device());
        }
      }
      byPrefix.put(MiniCpmModules.FINAL_NORM, head);
      byPrefix.put(MiniCpmModules.ROTARY, head);
      byPrefix.put(MiniCpmModules.LM_HEAD, head);
      byPrefix.put(MiniCpmModules.VISION, vision);
      byPrefix.put(MiniCpmModules.RESAMPLER, vision);
      return new Placement(byPrefix);
    }

    String describe() {
      List<String> parts = new ArrayList<>();
      stages.forEach(stage ->
          parts.add(
              "layers %d to %d on %s"
                  .formatted(stage.firstLayer(), stage.lastLayer(), stage.device())));
      parts.add("vision tower and resampler on " + vision);
      parts.add("embeddings on " + embedding);
      parts.add("head on " + head);
      return String.join(", ", parts);
    }
  }

  /** Consecutive layers on one device, both ends included. */
  record Stage(DeviceId device, int firstLayer, int lastLayer) {}
}
