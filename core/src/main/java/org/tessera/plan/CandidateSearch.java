package org.tessera.plan;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.tessera.plan.Candidate.Feasible;
import org.tessera.plan.Candidate.Refused;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.Plan.PerDevice;

/**
 * All ways to run a model on some devices, each in its best form: one card, layers cut over cards,
 * layers in stages, copies, and the rest on the CPU where the cards do not hold the model.
 */
final class CandidateSearch {
  private final ModelSizes sizes;
  private final ModuleTree tree;
  private final PlanRequest request;
  private final TimeModel times;
  private final TensorParallel cuts;
  private final List<DeviceBudget> gpus;
  private final List<DeviceBudget> cpu;
  private final Map<DeviceId, DeviceBudget> budgets;

  CandidateSearch(
      ModelSizes sizes, ModuleTree tree, PlanRequest request, List<DeviceBudget> devices) {
    this.sizes = sizes;
    this.tree = tree;
    this.request = request;
    times = new TimeModel(new ModelWork(sizes, request), Workload.of(sizes, request));
    cuts = new TensorParallel(sizes);
    List<DeviceBudget> sorted =
        devices.stream().sorted(Comparator.comparing(DeviceBudget::device)).toList();
    gpus = sorted.stream().filter(budget -> budget.device().isGpu()).toList();
    cpu = sorted.stream().filter(budget -> budget.device().equals(DeviceId.CPU)).toList();
    budgets = DevicePlanner.byId(sorted);
  }

  Workload workload() {
    return times.load();
  }

  /** Whether any way fits, without looking for the fastest. */
  boolean anyFits(OptionalInt tensorParallel, OptionalInt replicas) {
    if (tensorParallel.orElse(1) > 1 || replicas.orElse(1) > 1) {
      return all(tensorParallel, replicas).stream().anyMatch(Feasible.class::isInstance);
    }
    List<DeviceBudget> both = new ArrayList<>(gpus);
    both.addAll(cpu);
    return oneCard() instanceof Feasible
        || (both.size() > 1 && new StageSearch(memory(1), times, both).fits())
        || cpuAlone() instanceof Feasible
        || (tensorParallel.isEmpty()
            && cuts.sizesToTry(gpus.size()).stream()
                .anyMatch(ranks -> cut(ranks, 1) instanceof Feasible));
  }

  /**
   * Every way.
   *
   * @param tensorParallel where given, only ways with so many ranks a layer
   * @param replicas where given, only ways with so many copies
   */
  List<Candidate> all(OptionalInt tensorParallel, OptionalInt replicas) {
    List<Candidate> all = new ArrayList<>();
    boolean anyCut = tensorParallel.isEmpty();
    if (tensorParallel.orElse(1) == 1 && replicas.orElse(1) == 1 && !gpus.isEmpty()) {
      all.add(oneCard());
    }
    List<Integer> ranks =
        anyCut ? cuts.sizesToTry(gpus.size()) : List.of(tensorParallel.getAsInt());
    if (replicas.orElse(1) == 1) {
      ranks.stream().filter(count -> count > 1).forEach(count -> all.add(cut(count, 1)));
    }
    if (tensorParallel.orElse(1) == 1 && replicas.orElse(1) == 1 && gpus.size() > 1) {
      all.add(stages());
    }
    if (replicas.orElse(2) > 1) {
      TreeSet<Integer> perCopy = new TreeSet<>(ranks);
      if (anyCut) {
        perCopy.add(1);
      }
      perCopy.forEach(count -> copies(count, replicas).ifPresent(all::add));
    }
    if (tensorParallel.orElse(1) == 1 && replicas.orElse(1) == 1) {
      addWithCpu(all);
    }
    return all;
  }

  private void addWithCpu(List<Candidate> all) {
    if (cpu.isEmpty()) {
      return;
    }
    boolean needed = all.stream().noneMatch(Feasible.class::isInstance);
    if (!gpus.isEmpty()) {
      all.add(
          needed
              ? offload()
              : new Refused("offload to cpu", "not needed: GPUs have room for the whole model"));
    }
    if (needed) {
      all.add(cpuAlone());
    }
  }

  private MemoryModel memory(int replicas) {
    return new MemoryModel(sizes, tree, request.withBatch(Math.ceilDiv(request.batch(), replicas)));
  }

  private Candidate oneCard() {
    return cut(1, 1);
  }

  /** Copies of the model, as many as asked for or as many as give most tokens a second. */
  private Optional<Candidate> copies(int ranks, OptionalInt count) {
    if (count.isPresent()) {
      return Optional.of(cut(ranks, count.getAsInt()));
    }
    @Nullable Feasible best = null;
    for (int copies = 2; copies * ranks <= gpus.size(); copies++) {
      if (cut(ranks, copies) instanceof Feasible feasible
          && (best == null
              || feasible.prediction().tokensPerSecond() > best.prediction().tokensPerSecond())) {
        best = feasible;
      }
    }
    if (best != null) {
      return Optional.of(best);
    }
    // Of cuts that are impossible, or cards that are too small, the cuts themselves tell.
    return ranks == 1 && gpus.size() > 1 ? Optional.of(cut(1, 2)) : Optional.empty();
  }

  /** {@code copies} copies, each with its layers cut over {@code ranks} GPUs. */
  private Candidate cut(int ranks, int copies) {
    String name = name(ranks, copies);
    Optional<String> obstacle = ranks == 1 ? Optional.empty() : cuts.obstacle(ranks);
    if (obstacle.isPresent()) {
      return new Refused(name, obstacle.get());
    }
    if (gpus.isEmpty() && !cpu.isEmpty()) {
      return candidate(name, onCpu(ranks, copies), memory(copies));
    }
    int needed = ranks * copies;
    if (gpus.size() < needed) {
      return new Refused(
          name,
          "it takes %s, there %s"
              .formatted(count(needed), gpus.size() == 1 ? "is 1" : "are " + gpus.size()));
    }
    MemoryModel memory = memory(copies);
    long visionBytes = memory.visionBytes(gpus.getFirst().device());
    long leastBytes = rankBytes(memory, ranks) + (ranks == 1 ? visionBytes : 0);
    List<DeviceBudget> roomy = gpus.stream().filter(gpu -> gpu.bytes() >= leastBytes).toList();
    if (roomy.size() < needed) {
      return tooSmall(name, leastBytes);
    }
    RankChoice choice =
        new RankChoice(times, sizes.numHiddenLayers(), ranks, copies, leastBytes + visionBytes);
    @Nullable Candidate best = null;
    for (List<List<DeviceBudget>> groups : choice.of(roomy)) {
      Deployment deployment =
          new Deployment(
              groups.stream()
                  .map(group -> replica(group, ranks == 1 ? 0 : leastBytes + visionBytes))
                  .toList());
      Candidate candidate = candidate(name, deployment, memory);
      if (candidate instanceof Feasible feasible
          && (!(best instanceof Feasible other)
              || feasible.prediction().tokensPerSecond() > other.prediction().tokensPerSecond())) {
        best = candidate;
      }
    }
    return best == null
        ? new Refused(name, "no card has room for the vision tower beside its part of the layers")
        : best;
  }

  /** Ranks and copies that share the processor: no faster, but the same code without a GPU. */
  private Deployment onCpu(int ranks, int copies) {
    Replica replica =
        Replica.cutOver(Collections.nCopies(ranks, DeviceId.CPU), sizes.numHiddenLayers());
    return new Deployment(Collections.nCopies(copies, replica));
  }

  private static String name(int ranks, int copies) {
    String cut = ranks == 1 ? "one card" : "tensor parallel over " + ranks;
    return copies == 1
        ? cut
        : "%d replicas, each %s".formatted(copies, ranks == 1 ? "on " + cut : cut);
  }

  private static String count(int gpus) {
    return gpus == 1 ? "a GPU" : gpus + " GPUs";
  }

  /** The cards that have room encode pictures. */
  private Replica replica(List<DeviceBudget> group, long withVisionBytes) {
    List<DeviceId> ranks = group.stream().map(DeviceBudget::device).sorted().toList();
    List<DeviceId> vision =
        group.stream()
            .filter(gpu -> gpu.bytes() >= withVisionBytes)
            .map(DeviceBudget::device)
            .sorted()
            .toList();
    return new Replica(List.of(new Stage(ranks, 0, sizes.numHiddenLayers())), vision);
  }

  /** What one of so many ranks takes without the vision tower, the same on every GPU. */
  private long rankBytes(MemoryModel memory, int ranks) {
    List<DeviceId> some = gpus.stream().limit(ranks).map(DeviceBudget::device).toList();
    Replica blind = new Replica(List.of(new Stage(some, 0, sizes.numHiddenLayers())), List.of());
    SortedMap<DeviceId, PerDevice> bytes =
        DeploymentMemory.predict(memory, new Deployment(List.of(blind)));
    return bytes.values().stream().mapToLong(PerDevice::totalBytes).max().orElseThrow();
  }

  private Refused tooSmall(String name, long neededBytes) {
    DeviceBudget small =
        gpus.stream()
            .filter(gpu -> gpu.bytes() < neededBytes)
            .max(Comparator.comparingLong(DeviceBudget::bytes))
            .orElseThrow();
    return new Refused(
        name,
        "it takes %s a card and %s has %s, %s too little"
            .formatted(
                ByteSize.format(neededBytes),
                small.device(),
                ByteSize.format(small.bytes()),
                ByteSize.format(neededBytes - small.bytes())));
  }

  private Candidate stages() {
    MemoryModel memory = memory(1);
    return new StageSearch(memory, times, gpus)
        .best()
        .map(deployment -> withMoreEyes(candidate("layers in stages", deployment, memory), memory))
        .orElseGet(() ->
            new Refused(
                "layers in stages", "whole layers and the vision tower fit on no such split"));
  }

  /** Puts copies of the vision tower on further GPUs in use while that gives an earlier token. */
  private Candidate withMoreEyes(Candidate candidate, MemoryModel memory) {
    Candidate best = candidate;
    for (DeviceBudget gpu : gpus) {
      if (best instanceof Feasible feasible && feasible.perDevice().containsKey(gpu.device())) {
        Replica replica = feasible.deployment().replicas().getFirst();
        if (!replica.vision().contains(gpu.device())) {
          TreeSet<DeviceId> vision = new TreeSet<>(replica.vision());
          vision.add(gpu.device());
          Replica more = new Replica(replica.stages(), List.copyOf(vision));
          Candidate tried = candidate(feasible.name(), new Deployment(List.of(more)), memory);
          if (tried instanceof Feasible other
              && other.prediction().firstTokenSeconds()
                  < feasible.prediction().firstTokenSeconds()) {
            best = tried;
          }
        }
      }
    }
    return best;
  }

  private Candidate offload() {
    String name = "offload to cpu";
    List<DeviceBudget> devices = new ArrayList<>(gpus);
    devices.addAll(cpu);
    MemoryModel memory = memory(1);
    return new StageSearch(memory, times, devices)
        .best()
        .filter(deployment -> deployment.replicas().getFirst().devices().getFirst().isGpu())
        .map(deployment -> candidate(name, deployment, memory))
        .orElseGet(
            () -> new Refused(name, "GPUs and cpu together have no room for the whole model"));
  }

  private Candidate cpuAlone() {
    String name = "cpu alone";
    if (cpu.isEmpty()) {
      return new Refused(name, "cpu is not among the devices");
    }
    return candidate(name, Deployment.on(DeviceId.CPU, sizes.numHiddenLayers()), memory(1));
  }

  /** The same with its bytes and times, or by how much a device is too small. */
  private Candidate candidate(String name, Deployment deployment, MemoryModel memory) {
    SortedMap<DeviceId, PerDevice> perDevice = DeploymentMemory.predict(memory, deployment);
    for (DeviceBudget budget : budgets.values()) {
      PerDevice use = perDevice.get(budget.device());
      long excess = use == null ? 0 : use.totalBytes() - budget.bytes();
      if (use != null && excess > 0) {
        return new Refused(
            name,
            "it takes %s on %s, which has %s, %s too little"
                .formatted(
                    ByteSize.format(use.totalBytes()),
                    budget.device(),
                    ByteSize.format(budget.bytes()),
                    ByteSize.format(excess)));
      }
    }
    return new Feasible(
        name,
        "",
        DeploymentText.describe(deployment),
        deployment,
        perDevice,
        times.predict(deployment, budgets));
  }
}
