package org.tessera.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.engine.StagedRunner.Member;
import org.tessera.engine.StagedRunner.Stage;
import org.tessera.error.DeviceException;
import org.tessera.error.PlanException;
import org.tessera.kv.KvCache;
import org.tessera.model.Architecture;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.Collective;
import org.tessera.parallel.LocalGroup;
import org.tessera.parallel.ModelPart;
import org.tessera.parallel.Rank;
import org.tessera.parallel.RankGroup;
import org.tessera.parallel.RankGroups;
import org.tessera.plan.Deployment;
import org.tessera.plan.DeviceId;
import org.tessera.plan.PlanRequest;
import org.tessera.tensor.DType;
import org.tessera.weights.LoadProgress;
import org.tessera.weights.WeightSource;
import org.tessera.weights.Weights;

/**
 * A model whose parts were loaded to the devices of a {@link Deployment}, each device holding what
 * it computes and nothing else.
 */
public final class DeployedModel implements AutoCloseable {
  /** Context for which the cache has room where the caller does not say and memory affords it. */
  private static final int DEFAULT_CONTEXT_TOKENS = 16_384;

  private static final int MIN_CONTEXT_TOKENS = 512;

  /** On GPUs with memory to spare: as many answers as run at once, of 2,048 tokens each. */
  private static final int MANY_TOKENS = 131_072;

  private final Source source;
  private final Function<DeviceId, Device> opener;
  private final List<Device> devices = new ArrayList<>();
  private final List<LoadedReplica> replicas = new ArrayList<>();
  private final Deque<Runnable> closers = new ArrayDeque<>();

  /**
   * What is loaded.
   *
   * @param weights stay open as long as the model
   * @param dtype element type of the weight matrices; absent for what suits each device
   */
  public record Source(
      Architecture architecture,
      CheckpointConfig config,
      WeightSource weights,
      Optional<DType> dtype,
      LoadProgress progress) {}

  /** One copy of the model. */
  private record LoadedReplica(List<Stage> stages, List<Member> vision) {
    /** Whether one device has everything, so that nothing needs to be handed on. */
    boolean isWhole() {
      return stages.size() == 1 && stages.getFirst().ranks().size() == 1 && vision.isEmpty();
    }
  }

  private DeployedModel(Source source, Function<DeviceId, Device> opener) {
    this.source = source;
    this.opener = opener;
  }

  /**
   * Loads every part of a deployment.
   *
   * @param opener opens a device; what it opens is closed with the model
   * @throws org.tessera.error.CheckpointException where a weight is missing, has another shape, or
   *     is none of the model's
   * @throws DeviceException where a device cannot be opened or its memory does not suffice
   * @throws PlanException where the deployment is none of this model, or its ranks cannot share it
   */
  public static DeployedModel load(
      Source source, Deployment deployment, Function<DeviceId, Device> opener) {
    DeployedModel model = new DeployedModel(source, opener);
    boolean done = false;
    try {
      List<PlacedReplica> placed = deployment.replicas().stream().map(model::place).toList();
      Map<Rank, Member> members = model.load(placed);
      placed.forEach(replica -> model.replicas.add(replica.loaded(members)));
      done = true;
      return model;
    } finally {
      if (!done) {
        model.close();
      }
    }
  }

  /** Ranks of a stage before their parts of the model are loaded. */
  private record PlacedStage(List<Rank> ranks, RankGroup group) {}

  /** A copy of the model before it is loaded. */
  private record PlacedReplica(List<PlacedStage> stages, List<Rank> vision) {
    List<Rank> ranks() {
      return Stream.concat(
              stages.stream().flatMap(stage -> stage.ranks().stream()), vision.stream())
          .toList();
    }

    LoadedReplica loaded(Map<Rank, Member> members) {
      return new LoadedReplica(
          stages.stream()
              .map(stage ->
                  new Stage(stage.ranks().stream().map(members::get).toList(), stage.group()))
              .toList(),
          vision.stream().map(members::get).toList());
    }
  }

  private PlacedReplica place(Deployment.Replica replica) {
    int layerCount = source.config().model().numHiddenLayers();
    if (replica.layerCount() != layerCount) {
      throw new PlanException(
          "the deployment is for %d layers, the model has %d"
              .formatted(replica.layerCount(), layerCount));
    }
    DevicePlaces places = new DevicePlaces(this::open);
    List<List<Device>> stageDevices =
        replica.stages().stream().map(stage -> places.ofStage(stage.ranks())).toList();
    List<Device> visionDevices = places.ofVision(replica.vision());
    boolean whole =
        replica.stages().size() == 1
            && stageDevices.getFirst().size() == 1
            && (visionDevices.isEmpty() || visionDevices.equals(stageDevices.getFirst()));
    List<PlacedStage> stages = new ArrayList<>();
    for (int i = 0; i < stageDevices.size(); i++) {
      Deployment.Stage stage = replica.stages().get(i);
      ModelPart part =
          new ModelPart(
              stage.firstLayer(),
              stage.endLayer(),
              i == 0,
              i == stageDevices.size() - 1,
              whole && !visionDevices.isEmpty());
      stages.add(place(stageDevices.get(i), part));
    }
    List<Rank> vision =
        whole
            ? List.of()
            : visionDevices.stream()
                .map(device -> new Rank(device, Collective.single(), ModelPart.VISION))
                .toList();
    return new PlacedReplica(stages, vision);
  }

  private PlacedStage place(List<Device> devices, ModelPart part) {
    if (devices.size() == 1) {
      Rank alone = new Rank(devices.getFirst(), Collective.single(), part);
      return new PlacedStage(List.of(alone), new LocalGroup(1));
    }
    RankGroup group = RankGroups.connect(devices);
    closers.push(group::close);
    return new PlacedStage(
        IntStream.range(0, devices.size())
            .mapToObj(i -> new Rank(devices.get(i), group.member(i, devices.get(i)), part))
            .toList(),
        group);
  }

  private Device open(DeviceId id) {
    Device device = opener.apply(id);
    closers.push(device::close);
    devices.add(device);
    return device;
  }

  /** Loads all parts, those of different devices at the same time. */
  private Map<Rank, Member> load(List<PlacedReplica> placed) {
    List<Rank> ranks = placed.stream().flatMap(replica -> replica.ranks().stream()).toList();
    Map<Rank, Weights> weights = new HashMap<>();
    Map<Device, List<Rank>> byDevice = new HashMap<>();
    for (Rank rank : ranks) {
      weights.put(rank, weights(rank.device(), weights.values()));
      byDevice.computeIfAbsent(rank.device(), device -> new ArrayList<>()).add(rank);
    }
    Map<Rank, Member> members = new HashMap<>();
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (List<Rank> own : byDevice.values()) {
      tasks.add(() -> {
        for (Rank rank : own) {
          Weights part = Objects.requireNonNull(weights.get(rank));
          Member member =
              new Member(
                  rank.device(),
                  source.architecture().load(source.config(), part, rank),
                  rank.part());
          synchronized (members) {
            members.put(rank, member);
          }
        }
        return true;
      });
    }
    runAll(tasks);
    List<ModelPart> parts = ranks.stream().map(Rank::part).toList();
    weights
        .values()
        .iterator()
        .next()
        .refuseUnused(name -> source.architecture().mayBeUnused(name, source.config(), parts));
    return members;
  }

  /** Where a part begins to fetch; it notes what it fetches where the others do. */
  private Weights weights(Device device, Collection<Weights> others) {
    DeviceMemory region = device.allocateRegion();
    closers.push(region::close);
    DType dtype =
        source.dtype().orElseGet(() -> device.weightType(source.weights().prevailingType()));
    return others.isEmpty()
        ? Weights.root(source.weights(), device, region, dtype, source.progress())
        : others.iterator().next().on(device, region, dtype);
  }

  private static void runAll(List<Callable<Boolean>> tasks) {
    var factory = Thread.ofPlatform().name("tessera-load-", 0).daemon().factory();
    try (ExecutorService threads = Executors.newThreadPerTaskExecutor(factory)) {
      for (Future<Boolean> result : threads.invokeAll(tasks)) {
        result.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DeviceException("loading was interrupted", e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new DeviceException("a part could not be loaded", e);
      }
    }
  }

  /** The opened devices. The CPU may be among them several times. */
  public List<Device> devices() {
    return List.copyOf(devices);
  }

  /**
   * Limits for the engines of all copies.
   *
   * @param contextTokens positions to make room for; absent for as many as memory affords
   * @param room for what there is room by plan; absent where nothing was planned
   * @throws DeviceException where memory affords too few, and nothing was planned
   */
  public EngineOptions engineOptions(OptionalInt contextTokens, Optional<PlanRequest> room) {
    int prefillRows = room.map(PlanRequest::prefillTokens).orElse(Integer.MAX_VALUE);
    int mixedPrefillRows = prefillRows;
    int slices = room.map(PlanRequest::sliceCount).orElse(Integer.MAX_VALUE);
    int visionSlices = Integer.MAX_VALUE;
    for (LoadedReplica replica : replicas) {
      for (Stage stage : replica.stages()) {
        for (Member rank : stage.ranks()) {
          prefillRows = Math.min(prefillRows, rank.device().prefillRows());
          mixedPrefillRows = Math.min(mixedPrefillRows, rank.device().mixedPrefillRows());
        }
      }
      visionSlices = Math.min(visionSlices, visionSlices(replica, slices));
    }
    return EngineOptions.forTokens(
        contextTokens.orElseGet(() -> affordableTokens(room.map(PlanRequest::contextTokens))),
        prefillRows,
        mixedPrefillRows,
        visionSlices);
  }

  /** Of all devices that encode pictures together, each of which takes so many at most. */
  private static int visionSlices(LoadedReplica replica, int most) {
    List<Member> members =
        replica.vision().isEmpty()
            ? replica.stages().getFirst().ranks().subList(0, 1)
            : replica.vision();
    return members.stream()
        .mapToInt(member -> Math.max(1, Math.min(most, member.device().visionSlices())))
        .sum();
  }

  /** What a quarter of the memory that is free holds, and no less than was planned. */
  private int affordableTokens(Optional<Integer> planned) {
    Map<String, Long> bytesPerToken = new HashMap<>();
    Map<String, Device> byId = new HashMap<>();
    for (LoadedReplica replica : replicas) {
      for (Stage stage : replica.stages()) {
        for (Member rank : stage.ranks()) {
          String id = rank.device().info().id();
          bytesPerToken.merge(id, bytesPerToken(rank), Long::sum);
          byId.putIfAbsent(id, rank.device());
        }
      }
    }
    int longest = source.config().model().maxPositionEmbeddings();
    boolean onGpus = byId.values().stream().allMatch(Device::copiesWeights);
    long wanted = onGpus ? MANY_TOKENS : Math.min(longest, DEFAULT_CONTEXT_TOKENS);
    long least = wanted;
    for (Map.Entry<String, Device> entry : byId.entrySet()) {
      long freeBytes = entry.getValue().info().freeBytes();
      long bytes = Math.max(1, bytesPerToken.getOrDefault(entry.getKey(), 0L));
      long affordable = freeBytes / 4 / bytes;
      if (planned.isEmpty() && affordable < Math.min(longest, MIN_CONTEXT_TOKENS)) {
        throw new DeviceException(
            "%s has %d MB free, of which a quarter holds the keys and values of %d tokens only; free memory or set context_tokens"
                .formatted(entry.getKey(), freeBytes >> 20, affordable));
      }
      least = Math.min(least, affordable);
    }
    return (int) Math.max(least, planned.orElse(0));
  }

  private static long bytesPerToken(Member rank) {
    VisionLanguageModel.Spec spec = rank.model().spec();
    return KvCache.bytesPerToken(spec.layerCount(), spec.heads(), rank.device().activationType());
  }

  /**
   * What runs the copies of the model, one each; to be called once. They are to be closed before
   * this.
   *
   * @throws DeviceException where memory for the caches does not suffice
   */
  public List<ModelRunner> runners(EngineOptions options) {
    List<ModelRunner> runners = new ArrayList<>();
    boolean done = false;
    try {
      for (LoadedReplica replica : replicas) {
        runners.add(runner(replica, options));
      }
      done = true;
      return runners;
    } finally {
      if (!done) {
        Closing.all(runners.stream().<Runnable>map(runner -> runner::close).toList());
      }
    }
  }

  private ModelRunner runner(LoadedReplica replica, EngineOptions options) {
    if (replica.isWhole()) {
      Member whole = replica.stages().getFirst().ranks().getFirst();
      return new RankRunner(whole.model(), whole.device(), options);
    }
    return new StagedRunner(replica.stages(), replica.vision(), microBatches(replica), options);
  }

  private MicroBatches microBatches(LoadedReplica replica) {
    int rows = 1;
    long bytesPerToken = 0;
    for (Stage stage : replica.stages()) {
      for (Member rank : stage.ranks()) {
        rows = Math.max(rows, rank.device().computeBoundRows());
        bytesPerToken += bytesPerToken(rank);
      }
    }
    double rowsPerPosition = (double) rows * bytesPerToken / source.weights().totalBytes();
    return new MicroBatches(replica.stages().size(), rows, rowsPerPosition);
  }

  /** Frees everything and closes the devices, whatever fails meanwhile. */
  @Override
  public void close() {
    List<Runnable> all = new ArrayList<>(closers);
    closers.clear();
    Closing.all(all);
  }
}
