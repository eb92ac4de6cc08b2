package org.tessera.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import org.tessera.error.PlanException;

/**
 * How a model runs over devices: copies that work independently, each of stages that follow one
 * another, each stage cut over ranks.
 *
 * @param replicas at least one; requests are divided over them
 */
public record Deployment(List<Replica> replicas) {
  public Deployment {
    replicas = List.copyOf(replicas);
    if (replicas.isEmpty()) {
      throw new PlanException("a deployment needs at least one replica");
    }
  }

  /** One copy of the whole model on one device. */
  public static Deployment on(DeviceId device, int layerCount) {
    return new Deployment(List.of(Replica.cutOver(List.of(device), layerCount)));
  }

  /**
   * One copy of the model.
   *
   * @param stages in the order in which hidden states pass them. The first embeds tokens; the last
   *     holds the final norm and the head. A device may have several stages
   * @param vision devices that hold the vision tower and the resampler, each whole; the slices of a
   *     request are divided over them. Empty where the model is to answer to text alone
   */
  public record Replica(List<Stage> stages, List<DeviceId> vision) {
    public Replica {
      stages = List.copyOf(stages);
      vision = List.copyOf(vision);
      if (stages.isEmpty() || stages.getFirst().firstLayer() != 0) {
        throw new PlanException("the first stage must begin with layer 0");
      }
      for (int i = 1; i < stages.size(); i++) {
        if (stages.get(i).firstLayer() != stages.get(i - 1).endLayer()) {
          throw new PlanException(
              "stage %d begins with layer %d and not with layer %d, where the one before it ends"
                  .formatted(i, stages.get(i).firstLayer(), stages.get(i - 1).endLayer()));
        }
      }
    }

    /** All layers in one stage, cut over these ranks, each of which encodes pictures too. */
    public static Replica cutOver(List<DeviceId> ranks, int layerCount) {
      return new Replica(List.of(new Stage(ranks, 0, layerCount)), ranks);
    }

    /** Number of decoder layers. */
    public int layerCount() {
      return stages.getLast().endLayer();
    }

    /** Every device that holds something, each once. */
    public SortedSet<DeviceId> devices() {
      List<DeviceId> all = new ArrayList<>(vision);
      stages.forEach(stage -> all.addAll(stage.ranks()));
      return new TreeSet<>(all);
    }
  }

  /**
   * Consecutive decoder layers; none where a stage has the embeddings or the head alone.
   *
   * @param ranks devices over which every layer is cut, in rank order; one for whole layers. The
   *     CPU may be named several times: its ranks share the cores
   * @param firstLayer the first layer, from 0
   * @param endLayer the layer after the last one
   */
  public record Stage(List<DeviceId> ranks, int firstLayer, int endLayer) {
    public Stage {
      ranks = List.copyOf(ranks);
      if (ranks.isEmpty()) {
        throw new PlanException("a stage needs at least one device");
      }
      if (firstLayer < 0 || endLayer < firstLayer) {
        throw new PlanException(
            "a stage cannot have the layers from %d to %d".formatted(firstLayer, endLayer - 1));
      }
    }

    public int layerCount() {
      return endLayer - firstLayer;
    }
  }
}
