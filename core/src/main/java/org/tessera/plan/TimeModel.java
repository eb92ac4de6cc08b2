package org.tessera.plan;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.Collectors;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;

/**
 * Predicted times of a deployment: arithmetic over {@link ModelWork}, the speeds of devices and
 * {@link Efficiency}. Times are seconds, rates bytes or operations a second.
 *
 * <pre>
 * product     = max(weight bytes / (bandwidth x efficiency), operations / (rate x efficiency))
 * layer, step = product of its weights, b rows + b x positions x KV bytes / (bandwidth x efficiency)
 *               + layer seconds + 2 all-reduces of b rows, where it is cut over t ranks
 * all-reduce  = latency + 2 (t - 1) / t x bytes / link
 * stage       = its layers + the head's product and the gathering of logits + the hop into it
 * step        = sum of the stages + (m - 1) x slowest device, b = batch / m rows in each of m parts
 * first token = slices x preparation by the host
 *               + slices / vision devices x vision operations / (rate x efficiency) + transfer of what
 *               they made + as a step, with the prompt's rows in m parts and attention's operations
 * </pre>
 *
 * A rank has its weights and heads divided by t; the slowest of a stage counts. Where there are
 * several stages a step is cut into as many parts as are fastest, which follow one another through
 * the stages. Replicas share the batch evenly. Rows of the embeddings, and token ids on their way
 * back, cost nothing here.
 */
final class TimeModel {
  /**
   * From a picture's file to the pixels of a slice: 24 ms for the ten of a JPEG of 1344 x 1344 on
   * 16 cores of a Xeon, docs/performance.md.
   */
  static final double PREPARATION_SECONDS_PER_SLICE = 2.4e-3;

  /** Attention and the MLP end in one each. */
  private static final int ALL_REDUCES_PER_LAYER = 2;

  /** Parts of a step at most, where there are several stages: four for each of two. */
  static final int MAX_PARTS = 8;

  private final ModelWork work;
  private final Workload load;

  TimeModel(ModelWork work, Workload load) {
    this.work = work;
    this.load = load;
  }

  Workload load() {
    return load;
  }

  /**
   * What to expect of a deployment.
   *
   * @param budgets of every device that it names
   */
  Prediction predict(Deployment deployment, Map<DeviceId, DeviceBudget> budgets) {
    int replicas = deployment.replicas().size();
    List<Replica> busy = deployment.replicas().subList(0, Math.min(replicas, load.batch()));
    double first = Double.MAX_VALUE;
    double slowest = 0;
    double tokensPerSecond = 0;
    Map<DeviceId, DeviceBudget> shared = sharedBy(busy, budgets);
    for (int i = 0; i < busy.size(); i++) {
      Replica replica = busy.get(i);
      List<StageGroup> stages = groups(replica, shared);
      int answers = load.batch() / replicas + (i < load.batch() % replicas ? 1 : 0);
      double seconds = stepSeconds(stages, answers);
      slowest = Math.max(slowest, seconds);
      tokensPerSecond += answers / seconds;
      first = Math.min(first, firstTokenSeconds(replica, groups(replica, budgets), budgets));
    }
    return new Prediction(first, slowest, tokensPerSecond);
  }

  /** What is left of each device for one of several replicas that work on it. */
  private static Map<DeviceId, DeviceBudget> sharedBy(
      List<Replica> busy, Map<DeviceId, DeviceBudget> budgets) {
    Map<DeviceId, DeviceBudget> shared = new HashMap<>();
    budgets.forEach((id, budget) -> {
      long users = busy.stream().filter(replica -> replica.devices().contains(id)).count();
      DeviceSpeed speed = budget.speed().shared(Math.toIntExact(Math.max(users, 1)));
      shared.put(id, new DeviceBudget(id, budget.bytes(), speed));
    });
    return shared;
  }

  /**
   * A stage and the devices of its ranks.
   *
   * @param entered whether hidden states come from other devices
   */
  private record StageGroup(
      List<DeviceBudget> ranks, int layers, boolean hasHead, boolean entered) {}

  private static List<StageGroup> groups(Replica replica, Map<DeviceId, DeviceBudget> budgets) {
    List<StageGroup> groups = new ArrayList<>();
    List<Stage> stages = replica.stages();
    for (int i = 0; i < stages.size(); i++) {
      Stage stage = stages.get(i);
      groups.add(
          new StageGroup(
              devices(stage.ranks(), budgets),
              stage.layerCount(),
              i == stages.size() - 1,
              i > 0 && !stages.get(i - 1).ranks().equals(stage.ranks())));
    }
    return groups;
  }

  /** A device that is named several times is shared. */
  private static List<DeviceBudget> devices(
      List<DeviceId> ids, Map<DeviceId, DeviceBudget> budgets) {
    Map<DeviceId, Long> users =
        ids.stream().collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
    List<DeviceBudget> devices = new ArrayList<>();
    for (DeviceId id : ids) {
      DeviceBudget budget = budgets.get(id);
      if (budget == null) {
        throw new IllegalArgumentException("no budget for " + id);
      }
      DeviceSpeed speed = budget.speed().shared(Math.toIntExact(users.getOrDefault(id, 1L)));
      devices.add(new DeviceBudget(id, budget.bytes(), speed));
    }
    return devices;
  }

  /** Between two tokens of each of {@code answers}. */
  private double stepSeconds(List<StageGroup> stages, int answers) {
    return pipelineSeconds(
        stages, answers, (stage, parts) -> stageSeconds(stage, (double) answers / parts));
  }

  /**
   * Parts of a step, one after the other, through all stages: the first takes the sum of the
   * stages, and each further one leaves the last stage as late as the busiest device lets it.
   *
   * @param seconds of one part in a stage, by the number of parts
   */
  private static double pipelineSeconds(
      List<StageGroup> stages, int rows, ToDoubleBiFunction<StageGroup, Integer> seconds) {
    double best = Double.MAX_VALUE;
    int most = stages.size() == 1 ? 1 : Math.min(rows, MAX_PARTS);
    for (int parts = 1; parts <= most; parts++) {
      double sum = 0;
      Map<List<DeviceId>, Double> busy = new HashMap<>();
      for (StageGroup stage : stages) {
        double part = seconds.applyAsDouble(stage, parts);
        sum += part;
        busy.merge(stage.ranks().stream().map(DeviceBudget::device).toList(), part, Double::sum);
      }
      best = Math.min(best, sum + (parts - 1) * Collections.max(busy.values()));
    }
    return best;
  }

  private double stageSeconds(StageGroup stage, double rows) {
    List<DeviceBudget> ranks = stage.ranks();
    double slowest = 0;
    for (DeviceBudget rank : ranks) {
      double head = stage.hasHead() ? headSeconds(rank, ranks.size(), rows) : 0;
      slowest = Math.max(slowest, stage.layers() * layerSeconds(rank, ranks.size(), rows) + head);
    }
    Link link = slowestLink(ranks);
    double together = stage.layers() * allReducesSeconds(link, ranks.size(), rows);
    together += stage.hasHead() ? gatherSeconds(link, ranks.size(), rows) : 0;
    return slowest + together + (stage.entered() ? hopSeconds(ranks.getFirst(), rows) : 0);
  }

  /** A layer of one of {@code ranks} ranks in a step of {@code rows} answers. */
  double layerSeconds(DeviceBudget device, int ranks, double rows) {
    Efficiency efficiency = Efficiency.of(device.device());
    double keysValues = rows * load.promptTokens() * work.kvBytesPerRow(device.device()) / ranks;
    return productSeconds(device, work.layerBytes() / ranks, rows, work.layerOperations() / ranks)
        + keysValues / (device.speed().bytesPerSecond() * efficiency.keysValues())
        + efficiency.layerSeconds();
  }

  /** The head of one of {@code ranks} ranks for {@code rows} answers. */
  double headSeconds(DeviceBudget device, int ranks, double rows) {
    return productSeconds(device, work.headBytes() / ranks, rows, work.headOperations() / ranks);
  }

  private static double productSeconds(
      DeviceBudget device, double weightBytes, double rows, double operationsPerRow) {
    Efficiency efficiency = Efficiency.of(device.device());
    DeviceSpeed speed = device.speed();
    return Math.max(
        weightBytes / (speed.bytesPerSecond() * efficiency.weights(rows)),
        rows * operationsPerRow / (speed.flops() * efficiency.products()));
  }

  /** Both all-reduces of a layer; nothing for one rank. */
  double allReducesSeconds(Link link, int ranks, double rows) {
    if (ranks == 1) {
      return 0;
    }
    double bytes = 2.0 * (ranks - 1) / ranks * rows * work.hiddenBytes();
    return ALL_REDUCES_PER_LAYER * link.seconds(bytes);
  }

  /** The logits of the other ranks; nothing for one rank. */
  double gatherSeconds(Link link, int ranks, double rows) {
    return ranks == 1 ? 0 : link.seconds(rows * work.logitsBytes() * (ranks - 1) / ranks);
  }

  /** Hidden states from other devices. */
  double hopSeconds(DeviceBudget into, double rows) {
    return into.speed().link().seconds(rows * work.hiddenBytes());
  }

  private double firstTokenSeconds(
      Replica replica, List<StageGroup> stages, Map<DeviceId, DeviceBudget> budgets) {
    return load.sliceCount() * PREPARATION_SECONDS_PER_SLICE
        + visionSeconds(replica, budgets)
        + pipelineSeconds(stages, load.promptTokens(), this::prefillSeconds);
  }

  /** One of so many parts of the prompt; as if each attended to as much as the others. */
  private double prefillSeconds(StageGroup stage, int parts) {
    List<DeviceBudget> ranks = stage.ranks();
    double rows = (double) load.promptTokens() / parts;
    double attention = work.causalAttentionOperations(load.promptTokens()) / parts / ranks.size();
    double slowest = 0;
    for (DeviceBudget rank : ranks) {
      Efficiency efficiency = Efficiency.of(rank.device());
      double layer =
          productSeconds(
                  rank,
                  work.layerBytes() / ranks.size(),
                  rows,
                  work.layerOperations() / ranks.size())
              + attention / (rank.speed().flops() * efficiency.products())
              + efficiency.layerSeconds();
      double head = stage.hasHead() ? headSeconds(rank, ranks.size(), 1) / parts : 0;
      slowest = Math.max(slowest, stage.layers() * layer + head);
    }
    Link link = slowestLink(ranks);
    double together = stage.layers() * allReducesSeconds(link, ranks.size(), rows);
    together += stage.hasHead() ? gatherSeconds(link, ranks.size(), 1) / parts : 0;
    return slowest + together + (stage.entered() ? hopSeconds(ranks.getFirst(), rows) : 0);
  }

  private double visionSeconds(Replica replica, Map<DeviceId, DeviceBudget> budgets) {
    if (load.sliceCount() == 0 || replica.vision().isEmpty()) {
      return 0;
    }
    List<DeviceBudget> encoders = devices(replica.vision(), budgets);
    int slices = Math.ceilDiv(load.sliceCount(), encoders.size());
    double slowest = 0;
    for (DeviceBudget encoder : encoders) {
      double rate = encoder.speed().flops() * Efficiency.of(encoder.device()).vision();
      slowest = Math.max(slowest, slices * work.visionOperationsPerSlice() / rate);
    }
    List<DeviceId> readers = replica.stages().getFirst().ranks();
    boolean stays = new HashSet<>(replica.vision()).size() == 1 && readers.equals(replica.vision());
    double bytes = load.sliceCount() * work.featureBytesPerSlice();
    return slowest + (stays ? 0 : slowestLink(encoders).seconds(bytes));
  }

  private static Link slowestLink(List<DeviceBudget> devices) {
    return devices.stream()
        .map(device -> device.speed().link())
        .max(Comparator.comparingDouble(TimeModel::smallMessageSeconds))
        .orElseThrow();
  }

  /** Links are ordered by what decoding sends: messages of one row, some KB. */
  static double smallMessageSeconds(Link link) {
    return link.seconds(8192);
  }
}
