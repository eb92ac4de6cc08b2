package org.tessera.plan;

import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.Plan.PerDevice;

/**
 * Predicted bytes of a deployment on each of its devices. Every replica has room for the whole
 * batch of the model's request. A rank of t holds a t-th of each matrix of its layers, of the KV
 * cache and of the head, whose rows are rounded up; norms, the embeddings and gathered logits are
 * whole on each.
 */
final class DeploymentMemory {
  private final MemoryModel memory;
  private final ModelSizes sizes;
  private final SortedMap<DeviceId, Use> uses = new TreeMap<>();

  private DeploymentMemory(MemoryModel memory) {
    this.memory = memory;
    this.sizes = memory.sizes();
  }

  /** What one device has to hold so far. */
  private static final class Use {
    long weights;
    long keysValues;
    long activations;
    long logits;
    long visionPeak;
  }

  static SortedMap<DeviceId, PerDevice> predict(MemoryModel memory, Deployment deployment) {
    DeploymentMemory predicted = new DeploymentMemory(memory);
    deployment.replicas().forEach(predicted::add);
    SortedMap<DeviceId, PerDevice> bytes = new TreeMap<>();
    predicted.uses.forEach((device, use) ->
        bytes.put(
            device,
            new PerDevice(
                device.label(),
                use.weights,
                use.keysValues,
                use.activations + use.logits,
                use.visionPeak,
                MemoryModel.runtimeBytes(device))));
    return bytes;
  }

  private void add(Replica replica) {
    List<Stage> stages = replica.stages();
    for (Stage stage : stages) {
      addLayers(stage);
    }
    stages
        .getFirst()
        .ranks()
        .forEach(rank -> use(rank).weights += memory.weightBytes(MiniCpmModules.EMBED_TOKENS));
    addHead(stages.getLast(), Set.copyOf(stages.getFirst().ranks()));
    for (DeviceId device : new HashSet<>(replica.vision())) {
      Use use = use(device);
      use.weights += memory.visionWeightBytes();
      use.visionPeak += memory.visionPeakBytes(device);
    }
  }

  private void addLayers(Stage stage) {
    int ranks = stage.ranks().size();
    for (DeviceId rank : stage.ranks()) {
      Use use = use(rank);
      use.weights += stage.layerCount() * layerBytes(ranks);
      use.keysValues += stage.layerCount() * memory.kvBytesPerLayer(rank) / ranks;
      int sharing = Collections.frequency(stage.ranks(), rank);
      // Stages of one device take turns.
      use.activations =
          Math.max(use.activations, sharing * memory.decoderActivationBytes(rank, ranks));
    }
  }

  private void addHead(Stage stage, Set<DeviceId> embedded) {
    int ranks = stage.ranks().size();
    for (DeviceId rank : stage.ranks()) {
      Use use = use(rank);
      use.weights += memory.weightBytes(MiniCpmModules.FINAL_NORM);
      use.weights += memory.weightBytes(MiniCpmModules.ROTARY);
      use.logits += memory.logitsBytes();
      if (sizes.tieWordEmbeddings()) {
        use.weights +=
            embedded.contains(rank) ? 0 : memory.weightBytes(MiniCpmModules.EMBED_TOKENS);
      } else {
        long rows = Math.ceilDiv(sizes.vocabSize(), ranks);
        use.weights += memory.weightBytes(MiniCpmModules.LM_HEAD) / sizes.vocabSize() * rows;
      }
    }
  }

  /** A layer's matrices and their biases are cut, its two norms are not. */
  private long layerBytes(int ranks) {
    long norms = 2L * sizes.hiddenSize() * memory.request().dtype().bytes();
    long matrices = memory.weightBytes(MiniCpmModules.LAYERS + ".0") - norms;
    return norms + Math.ceilDiv(matrices, ranks);
  }

  private Use use(DeviceId device) {
    return uses.computeIfAbsent(device, id -> new Use());
  }
}
