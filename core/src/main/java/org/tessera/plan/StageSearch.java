package org.tessera.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tessera.plan.Candidate.Layout;
import org.tessera.plan.Candidate.Stage;

/**
 * Finds the best way to lay whole layers in contiguous stages over the given devices, with the
 * vision tower and the resampler whole. It looks at every device for the vision part, the
 * embeddings and the head, and prefers, in this order: vision on a GPU, few bytes of weights on the
 * CPU, few hops of activations beside those between stages, and evenly filled GPUs.
 */
final class StageSearch {

  /** A layout and what it is judged by; less is better in each. */
  private record Judged(
      Layout layout, boolean visionOnCpu, long cpuWeightBytes, int hops, double fullest) {
    static final Comparator<Judged> ORDER =
        Comparator.comparing(Judged::visionOnCpu)
            .thenComparingLong(Judged::cpuWeightBytes)
            .thenComparingInt(Judged::hops)
            .thenComparingDouble(Judged::fullest);
  }

  private final MemoryModel memory;
  private final List<DeviceBudget> devices;

  /**
   * @param devices in the order in which they run; a CPU comes last
   */
  StageSearch(MemoryModel memory, List<DeviceBudget> devices) {
    this.memory = memory;
    this.devices = devices;
  }

  /** The best layout; empty where none fits. */
  Optional<Layout> best() {
    if (!fitsInSum()) {
      return Optional.empty();
    }
    @Nullable Judged best = null;
    for (int vision = 0; vision < devices.size(); vision++) {
      for (int embedding = 0; embedding < devices.size(); embedding++) {
        for (int head = 0; head < devices.size(); head++) {
          // Tied weights would need a second copy elsewhere.
          if (head == embedding || !memory.sizes().tieWordEmbeddings()) {
            Judged judged = judge(vision, embedding, head);
            if (judged != null && (best == null || Judged.ORDER.compare(judged, best) < 0)) {
              best = judged;
            }
          }
        }
      }
    }
    return Optional.ofNullable(best).map(Judged::layout);
  }

  /** A necessary condition that is cheap to check. */
  private boolean fitsInSum() {
    long room = 0;
    for (DeviceBudget budget : devices) {
      room += Math.max(0, budget.bytes() - memory.baseBytes(budget.device()));
    }
    return room >= memory.weightBytes("");
  }

  private @Nullable Judged judge(int vision, int embedding, int head) {
    long[] taken = new long[devices.size()];
    for (int i = 0; i < taken.length; i++) {
      DeviceId device = devices.get(i).device();
      taken[i] = memory.baseBytes(device);
      taken[i] += i == vision ? memory.visionBytes(device) : 0;
      taken[i] += i == embedding ? memory.weightBytes(MiniCpmModules.EMBED_TOKENS) : 0;
      taken[i] += i == head ? headBytes() : 0;
      if (taken[i] > devices.get(i).bytes()) {
        return null;
      }
    }
    int[] layers = distribute(taken);
    if (layers == null) {
      return null;
    }
    List<Stage> stages = stages(layers);
    Layout layout = new Layout(stages, device(vision), device(embedding), device(head));
    return new Judged(
        layout,
        isCpu(vision),
        cpuWeightBytes(layers, vision, embedding, head),
        hops(layout),
        fullest(taken, layers));
  }

  private long headBytes() {
    return memory.weightBytes(MiniCpmModules.FINAL_NORM)
        + memory.weightBytes(MiniCpmModules.ROTARY)
        + memory.weightBytes(MiniCpmModules.LM_HEAD)
        + memory.logitsBytes();
  }

  /**
   * How many layers each device takes: each next one goes to the GPU that is then filled least, and
   * the CPU takes what GPUs cannot. Null where they do not fit.
   */
  private int @Nullable [] distribute(long[] taken) {
    int[] layers = new int[devices.size()];
    int lastGpu = isCpu(layers.length - 1) ? layers.length - 2 : layers.length - 1;
    for (int layer = 0; layer < memory.sizes().numHiddenLayers(); layer++) {
      int next = -1;
      for (int i = 0; i <= lastGpu; i++) {
        if (fill(taken, layers, i, 1) <= 1
            && (next < 0 || fill(taken, layers, i, 1) < fill(taken, layers, next, 1))) {
          next = i;
        }
      }
      if (next < 0 && lastGpu < layers.length - 1 && fill(taken, layers, lastGpu + 1, 1) <= 1) {
        next = lastGpu + 1;
      }
      if (next < 0) {
        return null;
      }
      layers[next]++;
    }
    return layers;
  }

  private double fill(long[] taken, int[] layers, int index, int more) {
    DeviceBudget budget = devices.get(index);
    long bytes = taken[index] + (layers[index] + more) * memory.layerBytes(budget.device());
    return bytes <= budget.bytes() ? (double) bytes / Math.max(budget.bytes(), 1) : 2;
  }

  private double fullest(long[] taken, int[] layers) {
    double fullest = 0;
    for (int i = 0; i < layers.length; i++) {
      fullest = isCpu(i) ? fullest : Math.max(fullest, fill(taken, layers, i, 0));
    }
    return fullest;
  }

  private List<Stage> stages(int[] layers) {
    List<Stage> stages = new ArrayList<>();
    int first = 0;
    for (int i = 0; i < layers.length; i++) {
      if (layers[i] > 0) {
        stages.add(new Stage(device(i), first, first + layers[i] - 1));
        first += layers[i];
      }
    }
    return stages;
  }

  private long cpuWeightBytes(int[] layers, int vision, int embedding, int head) {
    int last = layers.length - 1;
    if (!isCpu(last)) {
      return 0;
    }
    return layers[last] * memory.weightBytes(MiniCpmModules.LAYERS + ".0")
        + (vision == last ? memory.visionBytes(device(last)) : 0)
        + (embedding == last ? memory.weightBytes(MiniCpmModules.EMBED_TOKENS) : 0)
        + (head == last ? headBytes() : 0);
  }

  /** Pictures meet the embeddings, the embeddings the first layer, the last layer the head. */
  private static int hops(Layout layout) {
    int hops = layout.vision().equals(layout.embedding()) ? 0 : 1;
    hops += layout.embedding().equals(layout.stages().getFirst().device()) ? 0 : 1;
    return hops + (layout.head().equals(layout.stages().getLast().device()) ? 0 : 1);
  }

  private DeviceId device(int index) {
    return devices.get(index).device();
  }

  private boolean isCpu(int index) {
    return !device(index).isGpu();
  }
}
