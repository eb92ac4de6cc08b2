package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.error.PlanException;
import org.tessera.plan.Candidate.Feasible;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.Plan.PerDevice;
import org.tessera.tensor.DType;

/** What holds of every plan, on random models and machines. */
class PlanPropertiesTest {
  private static final long GIB = 1L << 30;
  private static final int ROUNDS = 500;
  private static final double ROUNDING = 1 + 1e-6;
  private static final Pattern SMALLER = Pattern.compile("a context of (\\d+) tokens would fit");

  private final RandomGenerator random =
      RandomGeneratorFactory.of("L64X128MixRandom").create(20260701);

  @Test
  void whateverIsPlannedFitsAndIsWholeAndWhatIsRefusedDoesNot() {
    Map<String, Integer> kinds = new HashMap<>();
    for (int round = 0; round < ROUNDS; round++) {
      ModelSizes sizes = randomSizes();
      PlanRequest request = randomRequest();
      List<DeviceBudget> devices = randomDevices();
      DevicePlanner planner = new DevicePlanner(sizes);
      try {
        Plan plan = planner.plan(devices, request);
        assertThat(planner.plan(devices, request)).as("deterministic").isEqualTo(plan);
        for (Candidate candidate : plan.candidates()) {
          assertThat(candidate.reason()).isNotBlank();
          if (candidate instanceof Feasible feasible) {
            checkFits(feasible, devices);
            checkWhole(feasible, sizes, request);
            checkNotFaster(feasible, chosen(plan));
          }
        }
        kinds.merge(chosen(plan).name().replaceAll("\\d+", "n"), 1, Integer::sum);
      } catch (PlanException e) {
        checkRefusal(e, planner, devices, request);
        kinds.merge("refused", 1, Integer::sum);
      }
    }
    assertThat(kinds)
        .containsKeys(
            "one card",
            "tensor parallel over n",
            "layers in stages",
            "n replicas, each on one card",
            "offload to cpu",
            "cpu alone",
            "refused")
        .allSatisfy((kind, count) -> assertThat(count).as(kind).isGreaterThan(2));
  }

  /** More bandwidth on one device, or a faster link, and nothing takes longer. */
  @Test
  void aFasterDeviceIsNeverSlower() {
    int compared = 0;
    for (int round = 0; round < ROUNDS; round++) {
      ModelSizes sizes = randomSizes();
      PlanRequest request = randomRequest();
      List<DeviceBudget> devices = randomDevices();
      DevicePlanner planner = new DevicePlanner(sizes);
      Plan before;
      try {
        before = planner.plan(devices, request);
      } catch (PlanException _) {
        continue;
      }
      List<DeviceBudget> faster = new ArrayList<>(devices);
      int index = random.nextInt(devices.size());
      DeviceBudget device = devices.get(index);
      DeviceSpeed speed = device.speed();
      DeviceSpeed more =
          new DeviceSpeed(
              speed.bytesPerSecond() * (1 + 3 * random.nextDouble()),
              speed.flops() * (1 + random.nextDouble()),
              speed.link());
      faster.set(index, new DeviceBudget(device.device(), device.bytes(), more));

      Plan after = planner.plan(faster, request);

      assertThat(chosen(after).prediction().tokensPerSecond() * ROUNDING)
          .as("%s on %s, then %s", chosen(before).name(), devices, more)
          .isGreaterThanOrEqualTo(chosen(before).prediction().tokensPerSecond());
      compared++;
    }
    assertThat(compared).isGreaterThan(ROUNDS / 3);
  }

  /** No way to distribute the layers of small models over stages beats the one that was found. */
  @Test
  void stagesAreTheFastestThereAre() {
    int compared = 0;
    for (int round = 0; round < ROUNDS; round++) {
      ModelSizes sizes = randomSizes();
      PlanRequest request = randomRequest();
      List<DeviceBudget> devices = randomDevices();
      List<DeviceBudget> gpus = devices.stream().filter(d -> d.device().isGpu()).toList();
      if (gpus.size() < 2 || gpus.size() > 4) {
        continue;
      }
      TimeModel times = new TimeModel(new ModelWork(sizes, request), Workload.of(sizes, request));
      MemoryModel memory = new MemoryModel(sizes, MiniCpmModules.of(sizes), request);
      StageSearch search = new StageSearch(memory, times, gpus);
      double found =
          search
              .best()
              .map(best -> times.predict(best, DevicePlanner.byId(gpus)).tokensPerSecond())
              .orElse(0.0);
      assertThat(search.fits()).isEqualTo(found > 0);
      for (int attempt = 0; attempt < 40; attempt++) {
        Deployment other = randomStages(sizes, gpus);
        if (isOnOneDevice(other.replicas().getFirst())) {
          continue;
        }
        SortedMap<DeviceId, PerDevice> bytes = DeploymentMemory.predict(memory, other);
        boolean fits =
            gpus.stream()
                .allMatch(gpu ->
                    !bytes.containsKey(gpu.device())
                        || bytes.get(gpu.device()).totalBytes() <= gpu.bytes());
        if (fits) {
          double tokens = times.predict(other, DevicePlanner.byId(gpus)).tokensPerSecond();
          assertThat(tokens).as("%s", other).isLessThanOrEqualTo(found * ROUNDING);
          compared++;
        }
      }
    }
    assertThat(compared).isGreaterThan(1000);
  }

  /** In a random order of devices; embeddings, head and vision tower anywhere. */
  private Deployment randomStages(ModelSizes sizes, List<DeviceBudget> gpus) {
    List<DeviceId> order = new ArrayList<>(gpus.stream().map(DeviceBudget::device).toList());
    Collections.shuffle(order, new Random(random.nextLong()));
    int used = 2 + random.nextInt(order.size() - 1);
    List<Stage> stages = new ArrayList<>();
    int first = 0;
    for (int i = 0; i < used; i++) {
      int left = sizes.numHiddenLayers() - first;
      int count = i == used - 1 ? left : random.nextInt(left + 1);
      stages.add(new Stage(List.of(order.get(i)), first, first + count));
      first += count;
    }
    if (sizes.tieWordEmbeddings()) {
      stages.add(new Stage(List.of(order.getFirst()), first, first));
    }
    DeviceId vision = order.get(random.nextInt(order.size()));
    return new Deployment(List.of(new Replica(stages, List.of(vision))));
  }

  private static boolean isOnOneDevice(Replica replica) {
    Set<DeviceId> used = new HashSet<>(replica.vision());
    used.addAll(replica.stages().getFirst().ranks());
    used.addAll(replica.stages().getLast().ranks());
    replica.stages().stream()
        .filter(stage -> stage.layerCount() > 0)
        .forEach(stage -> used.addAll(stage.ranks()));
    return used.size() == 1;
  }

  private static Feasible chosen(Plan plan) {
    List<Candidate> chosen = plan.candidates().stream().filter(plan::isChosen).toList();
    assertThat(chosen).hasSize(1);
    return (Feasible) chosen.getFirst();
  }

  private static void checkFits(Feasible candidate, List<DeviceBudget> devices) {
    Map<DeviceId, DeviceBudget> budgets = DevicePlanner.byId(devices);
    candidate
        .perDevice()
        .forEach((device, use) ->
            assertThat(use.totalBytes())
                .as("%s on %s", candidate.name(), device)
                .isLessThanOrEqualTo(budgets.get(device).bytes()));
  }

  /** Every copy has every layer once, by the constructor of a replica, and one vision tower. */
  private static void checkWhole(Feasible candidate, ModelSizes sizes, PlanRequest request) {
    Deployment deployment = candidate.deployment();
    long batch = Math.ceilDiv(request.batch(), deployment.replicas().size());
    long weights = candidate.perDevice().values().stream().mapToLong(PerDevice::weightBytes).sum();
    long kv = candidate.perDevice().values().stream().mapToLong(PerDevice::kvBytes).sum();
    long kvElements =
        2L
            * sizes.numKeyValueHeads()
            * sizes.headDim()
            * sizes.numHiddenLayers()
            * request.contextTokens()
            * batch
            * deployment.replicas().size();
    assertThat(deployment.replicas())
        .allSatisfy(replica -> {
          assertThat(replica.layerCount()).isEqualTo(sizes.numHiddenLayers());
          assertThat(replica.vision()).isNotEmpty();
          assertThat(replica.stages())
              .allSatisfy(stage -> {
                assertThat(sizes.numKeyValueHeads() % stage.ranks().size()).isZero();
                assertThat(stage.ranks()).doesNotHaveDuplicates();
              });
        });
    assertThat(weights)
        .isGreaterThanOrEqualTo(deployment.replicas().size() * loadedBytes(sizes, request.dtype()));
    assertThat(kv).isBetween(2 * kvElements, 4 * kvElements);
    assertThat(candidate.prediction().firstTokenSeconds()).isPositive().isLessThan(1e6);
  }

  private static void checkNotFaster(Feasible candidate, Feasible chosen) {
    if (chosen.seesOnCpu()) {
      assertThat(candidate.seesOnCpu()).isTrue();
    }
    if (chosen.seesOnCpu() == candidate.seesOnCpu()) {
      assertThat(candidate.prediction().tokensPerSecond())
          .isLessThanOrEqualTo(chosen.prediction().tokensPerSecond());
    }
  }

  private static long loadedBytes(ModelSizes sizes, DType dtype) {
    ModuleTree tree = MiniCpmModules.of(sizes);
    long elements =
        tree.parameters().entrySet().stream()
            .filter(entry -> tree.owner(entry.getKey()).equals(entry.getKey()))
            .mapToLong(entry -> entry.getValue().shape().elements())
            .sum();
    elements += tree.buffers().values().stream().mapToLong(b -> b.shape().elements()).sum();
    return elements * dtype.bytes();
  }

  private static void checkRefusal(
      PlanException refusal,
      DevicePlanner planner,
      List<DeviceBudget> devices,
      PlanRequest request) {
    assertThat(refusal.getMessage()).startsWith("the model does not fit: it needs ");
    Matcher smaller = SMALLER.matcher(refusal.getMessage());
    if (smaller.find()) {
      int tokens = Integer.parseInt(smaller.group(1));
      assertThat(tokens).isLessThan(request.contextTokens());
      assertThat(planner.plan(devices, request.withContextTokens(tokens))).isNotNull();
    } else {
      PlanRequest least = request.withContextTokens(1);
      assertThatThrownBy(() -> planner.plan(devices, least)).isInstanceOf(PlanException.class);
    }
  }

  private PlanRequest randomRequest() {
    return new PlanRequest(
        1 + random.nextInt(5000),
        random.nextBoolean() ? 1 : 1 + random.nextInt(20),
        random.nextInt(11),
        1 + random.nextInt(600),
        random.nextBoolean() ? DType.BF16 : DType.F32);
  }

  private ModelSizes randomSizes() {
    return Sizes.full()
        .vocab(1000 + random.nextInt(150_000))
        .decoder(64 * (1 + random.nextInt(56)), 64 * (1 + random.nextInt(200)))
        .layers(1 + random.nextInt(12))
        .heads(8, 1 + random.nextInt(8))
        .headDim(64)
        .tied(random.nextInt(3) == 0)
        .visionLayers(2 + random.nextInt(6))
        .dropVisionLastLayer(random.nextBoolean())
        .build();
  }

  private List<DeviceBudget> randomDevices() {
    List<DeviceBudget> devices = new ArrayList<>();
    int gpus = random.nextInt(6);
    DeviceSpeed alike = randomSpeed();
    boolean unequal = random.nextBoolean();
    for (int i = 0; i < gpus; i++) {
      devices.add(
          new DeviceBudget(
              DeviceId.gpu(2 * i), random.nextLong(3 * GIB), unequal ? randomSpeed() : alike));
    }
    if (gpus == 0 || random.nextBoolean()) {
      devices.add(new DeviceBudget(DeviceId.CPU, random.nextLong(8 * GIB)));
    }
    return devices;
  }

  private DeviceSpeed randomSpeed() {
    return new DeviceSpeed(
        1e11 * (2 + random.nextInt(50)),
        1e12 * (30 + random.nextInt(1000)),
        random.nextBoolean() ? Link.HOST : Link.DIRECT);
  }
}
