package org.tessera.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;

/**
 * Lays whole layers in contiguous stages over two or more devices so that a step takes the least
 * predicted time within every device's bytes, and among such layouts evens out the stages. The
 * vision tower and the resampler stay whole on a GPU; only where no GPU has room for them they are
 * on the CPU. Every device is tried for them, for the embeddings and for the head.
 *
 * <p>For each such choice the layers are distributed exactly: all layers are alike, so that the
 * time of a device is linear in how many it has, and a table over devices and numbers of layers
 * gives the least sum within a limit to what the slowest device takes.
 */
final class StageSearch {
  /** What rounding may change in a sum of times. */
  private static final double TOLERANCE = 1e-9;

  private final MemoryModel memory;
  private final TimeModel times;
  private final List<DeviceBudget> devices;
  private final int layerCount;

  /** Devices by which of them are alike: their numbers in {@link #devices} by speed and bytes. */
  private final List<Integer> kinds = new ArrayList<>();

  /**
   * @param devices in the order in which they run; a CPU comes last
   */
  StageSearch(MemoryModel memory, TimeModel times, List<DeviceBudget> devices) {
    this.memory = memory;
    this.times = times;
    this.devices = devices;
    layerCount = memory.sizes().numHiddenLayers();
    Map<Object, Integer> numbers = new HashMap<>();
    for (DeviceBudget budget : devices) {
      record Kind(boolean gpu, long bytes, Object speed) {}
      Kind kind = new Kind(budget.device().isGpu(), budget.bytes(), budget.speed());
      kinds.add(numbers.computeIfAbsent(kind, key -> numbers.size()));
    }
  }

  /** Devices, as numbers, of what is not a layer. */
  private record Ends(int vision, int embedding, int head) {}

  /** How many layers each device has, and what a step then takes. */
  private record Split(int[] layers, double stepSeconds) {}

  /** Whether anything fits, which does not depend on speeds. */
  boolean fits() {
    return choices().stream().anyMatch(ends -> mostLayers(ends) != null);
  }

  /** The best layout; empty where none fits. */
  Optional<Deployment> best() {
    List<Ends> choices = choices();
    return best(choices.stream().filter(ends -> isGpu(ends.vision())).toList())
        .or(() -> best(choices.stream().filter(ends -> !isGpu(ends.vision())).toList()));
  }

  private Optional<Deployment> best(List<Ends> choices) {
    @Nullable Deployment best = null;
    double bestStep = Double.MAX_VALUE;
    double bestFirst = Double.MAX_VALUE;
    Map<DeviceId, DeviceBudget> budgets = DevicePlanner.byId(devices);
    for (Ends ends : choices) {
      int[] most = mostLayers(ends);
      Split split = most == null ? null : split(ends, most, bestStep);
      if (split == null) {
        continue;
      }
      Deployment deployment = deployment(ends, split.layers());
      double first = times.predict(deployment, budgets).firstTokenSeconds();
      boolean faster = split.stepSeconds() < bestStep * (1 - TOLERANCE);
      if (faster || first < bestFirst) {
        best = deployment;
        bestStep = Math.min(bestStep, split.stepSeconds());
        bestFirst = first;
      }
    }
    return Optional.ofNullable(best);
  }

  /** Every way to choose the ends, but for those that alike devices would repeat. */
  private List<Ends> choices() {
    List<Ends> choices = new ArrayList<>();
    Set<List<Integer>> seen = new HashSet<>();
    for (int vision = 0; vision < devices.size(); vision++) {
      for (int embedding = 0; embedding < devices.size(); embedding++) {
        for (int head = 0; head < devices.size(); head++) {
          boolean tiedApart = memory.sizes().tieWordEmbeddings() && head != embedding;
          List<Integer> form =
              List.of(
                  kinds.get(vision),
                  kinds.get(embedding),
                  kinds.get(head),
                  vision == embedding ? 1 : 0,
                  embedding == head ? 1 : 0,
                  vision == head ? 1 : 0);
          // Tied weights would need a second copy elsewhere.
          if (!tiedApart && seen.add(form)) {
            choices.add(new Ends(vision, embedding, head));
          }
        }
      }
    }
    return choices;
  }

  /** How many layers each device has room for; null where they are too few or an end has none. */
  private int @Nullable [] mostLayers(Ends ends) {
    int[] most = new int[devices.size()];
    long sum = 0;
    for (int i = 0; i < most.length; i++) {
      DeviceId device = devices.get(i).device();
      long decoder = memory.decoderActivationBytes(device, 1);
      long taken = MemoryModel.runtimeBytes(device);
      taken += i == ends.vision() ? memory.visionBytes(device) : 0;
      taken += i == ends.embedding() ? memory.weightBytes(MiniCpmModules.EMBED_TOKENS) : 0;
      taken += i == ends.head() ? headBytes() : 0;
      boolean decodes = i == ends.embedding() || i == ends.head();
      boolean isEnd = decodes || i == ends.vision();
      if (isEnd && taken + (decodes ? decoder : 0) > devices.get(i).bytes()) {
        return null;
      }
      long room = Math.max(0, devices.get(i).bytes() - taken - decoder);
      // Everything on one device is not this search's to find.
      boolean isEveryEnd = i == ends.vision() && i == ends.embedding() && i == ends.head();
      int limit = isEveryEnd ? layerCount - 1 : layerCount;
      most[i] = (int) Math.min(limit, room / memory.layerBytes(device));
      sum += most[i];
    }
    return sum >= layerCount ? most : null;
  }

  private long headBytes() {
    return memory.weightBytes(MiniCpmModules.FINAL_NORM)
        + memory.weightBytes(MiniCpmModules.ROTARY)
        + memory.weightBytes(MiniCpmModules.LM_HEAD)
        + memory.logitsBytes();
  }

  /** The fastest split; null where it is slower than {@code limit} seconds a step. */
  private @Nullable Split split(Ends ends, int[] most, double limit) {
    @Nullable Split best = null;
    double bestSeconds = limit * (1 + TOLERANCE);
    int answers = times.load().batch();
    for (int parts = 1; parts <= Math.min(answers, TimeModel.MAX_PARTS); parts++) {
      Table table = new Table(ends, most, (double) answers / parts);
      double slowest = table.bestSlowest(parts, bestSeconds);
      if (slowest < Double.POSITIVE_INFINITY) {
        bestSeconds = table.stepSeconds(slowest, parts);
        best = new Split(table.layers(slowest), bestSeconds);
      }
    }
    return best;
  }

  /** Least sums of times over devices and numbers of layers, for one number of rows. */
  private final class Table {
    private final Ends ends;
    private final int[] most;
    private final double[] layerSeconds = new double[devices.size()];
    private final double[] hopSeconds = new double[devices.size()];
    private final double headSeconds;
    private final int roomAtTheEnds;

    /** Devices, the one of the embeddings first. */
    private final List<Integer> order = new ArrayList<>();

    /** Times that a device can take: what the slowest one takes is one of them. */
    private final double[] levels;

    Table(Ends ends, int[] most, double rows) {
      this.ends = ends;
      this.most = most.clone();
      order.add(ends.embedding());
      for (int i = 0; i < devices.size(); i++) {
        layerSeconds[i] = times.layerSeconds(devices.get(i), 1, rows);
        hopSeconds[i] = times.hopSeconds(devices.get(i), rows);
        if (i != ends.embedding()) {
          order.add(i);
        }
      }
      roomAtTheEnds = most[ends.head()];
      if (ends.head() == ends.embedding()) {
        // All layers there, too, is another case: see allAtTheEnds.
        this.most[ends.head()] = Math.min(most[ends.head()], layerCount - 1);
      }
      headSeconds = times.headSeconds(devices.get(ends.head()), 1, rows);
      TreeSet<Double> all = new TreeSet<>();
      if (allAtTheEnds() < Double.POSITIVE_INFINITY) {
        all.add(allAtTheEnds());
      }
      for (int i : order) {
        for (int layers = 0; layers <= this.most[i]; layers++) {
          all.add(seconds(i, layers));
        }
      }
      levels = all.stream().mapToDouble(Double::doubleValue).toArray();
    }

    /**
     * A device with so many layers, where other devices have layers, too: hidden states that began
     * on it then come back where it has the head.
     */
    private double seconds(int device, int layers) {
      boolean first = device == ends.embedding();
      boolean last = device == ends.head();
      boolean entered = last || (layers > 0 && !first);
      return layers * layerSeconds[device]
          + (last ? headSeconds : 0)
          + (entered ? hopSeconds[device] : 0);
    }

    /**
     * All layers between embeddings and head on their one device, so that only the vision tower is
     * elsewhere; infinite where that is not the case.
     */
    private double allAtTheEnds() {
      int end = ends.head();
      boolean possible =
          end == ends.embedding() && end != ends.vision() && roomAtTheEnds >= layerCount;
      return possible ? layerCount * layerSeconds[end] + headSeconds : Double.POSITIVE_INFINITY;
    }

    /** The least sum where no device takes longer than {@code slowest}; may be infinite. */
    double leastSum(double slowest) {
      double spread = sums(slowest, new int[order.size()][layerCount + 1]);
      return allAtTheEnds() <= slowest ? Math.min(spread, allAtTheEnds()) : spread;
    }

    /** A step of so many parts, where no device takes longer than {@code slowest} for one. */
    double stepSeconds(double slowest, int parts) {
      return leastSum(slowest) + (parts - 1) * slowest;
    }

    /**
     * What the slowest device takes in the fastest step of so many parts, the least where several
     * steps are as fast; infinite where none is as fast as {@code limit} seconds.
     */
    double bestSlowest(int parts, double limit) {
      double least = leastSum(Double.MAX_VALUE);
      if (least > Math.min(limit, Double.MAX_VALUE)) {
        return Double.POSITIVE_INFINITY;
      }
      if (parts == 1) {
        return levels[firstWithin(least * (1 + TOLERANCE))];
      }
      double best = Double.POSITIVE_INFINITY;
      double bestSeconds = Math.min(limit, Double.MAX_VALUE);
      // The slowest of devices that share a sum has its share at least. One by one from there on: a
      // sum falls in steps while what further parts add grows.
      for (int i = firstLevel(least / order.size()); i < levels.length; i++) {
        if (least + (parts - 1) * levels[i] > bestSeconds) {
          break;
        }
        double seconds = stepSeconds(levels[i], parts);
        if (seconds <= bestSeconds) {
          best = levels[i];
          bestSeconds = seconds * (1 - TOLERANCE);
        }
      }
      return best;
    }

    /** The first level for which the least sum is at most {@code sum}, by bisection. */
    private int firstWithin(double sum) {
      int low = 0;
      int high = levels.length - 1;
      while (low < high) {
        int middle = (low + high) / 2;
        if (leastSum(levels[middle]) <= sum) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      return high;
    }

    /** The first level that is not below {@code seconds}. */
    private int firstLevel(double seconds) {
      int index = Arrays.binarySearch(levels, seconds * (1 - TOLERANCE));
      return index < 0 ? -index - 1 : index;
    }

    /** The layers of each device that give {@link #leastSum}. */
    int[] layers(double slowest) {
      int[] layers = new int[order.size()];
      int[][] chosen = new int[order.size()][layerCount + 1];
      double spread = sums(slowest, chosen);
      if (allAtTheEnds() <= Math.min(slowest, spread)) {
        layers[ends.head()] = layerCount;
        return layers;
      }
      int left = layerCount;
      for (int k = order.size() - 1; k >= 0; k--) {
        layers[order.get(k)] = chosen[k][left];
        left -= chosen[k][left];
      }
      return layers;
    }

    /**
     * @param chosen told how many layers a device has, by its place in the order and the sum of
     *     layers up to it
     */
    private double sums(double slowest, int[][] chosen) {
      double[] before = new double[layerCount + 1];
      Arrays.fill(before, Double.POSITIVE_INFINITY);
      before[0] = 0;
      for (int k = 0; k < order.size(); k++) {
        double[] after = new double[layerCount + 1];
        Arrays.fill(after, Double.POSITIVE_INFINITY);
        for (int layers = 0; layers <= most[order.get(k)]; layers++) {
          double seconds = seconds(order.get(k), layers);
          for (int had = 0; had + layers <= layerCount && seconds <= slowest; had++) {
            if (before[had] + seconds < after[had + layers]) {
              after[had + layers] = before[had] + seconds;
              chosen[k][had + layers] = layers;
            }
          }
        }
        before = after;
      }
      return before[layerCount];
    }
  }

  private Deployment deployment(Ends ends, int[] layers) {
    List<Stage> stages = new ArrayList<>();
    int next = addStage(stages, ends.embedding(), 0, layers[ends.embedding()]);
    for (int i = 0; i < layers.length; i++) {
      if (i != ends.embedding() && i != ends.head() && layers[i] > 0) {
        next = addStage(stages, i, next, layers[i]);
      }
    }
    boolean begins = ends.head() == ends.embedding();
    if (!begins || stages.size() > 1) {
      addStage(stages, ends.head(), next, begins ? 0 : layers[ends.head()]);
    }
    return new Deployment(List.of(new Replica(stages, List.of(id(ends.vision())))));
  }

  private int addStage(List<Stage> stages, int device, int firstLayer, int count) {
    stages.add(new Stage(List.of(id(device)), firstLayer, firstLayer + count));
    return firstLayer + count;
  }

  private DeviceId id(int index) {
    return devices.get(index).device();
  }

  private boolean isGpu(int index) {
    return id(index).isGpu();
  }
}
