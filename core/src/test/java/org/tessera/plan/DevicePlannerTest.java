package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tessera.error.PlanException;
import org.tessera.plan.Plan.PerDevice;
import org.tessera.tensor.DType;

/** Tessera's own plan. */
class DevicePlannerTest {
  private static final long GIB = 1L << 30;
  private static final DevicePlanner FULL = new DevicePlanner(Sizes.full().build());
  private static final PlanRequest REQUEST = new PlanRequest(4096, 1, 10, 512, DType.BF16);
  private static final Pattern SMALLER = Pattern.compile("a context of (\\d+) tokens would fit");

  @Test
  void withoutAGpuEverythingIsOnTheCpu() {
    Plan plan = FULL.plan(List.of(cpu(24 * GIB)), REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "cpu"));
    assertThat(plan.reason()).isEqualTo("everything on cpu: no GPU is given");
    PerDevice use = plan.breakdown().getFirst();
    // The checkpoint's bytes, and the buffers of 70 x 70 x 3584 and 2 x 64 elements.
    assertThat(use.weightBytes()).isEqualTo(16_198_350_304L + 2 * (70 * 70 * 3584 + 128));
    // 57,344 bytes a token in two-byte elements; the CPU's have four.
    assertThat(use.kvBytes()).isEqualTo(2 * 57_344L * 4096);
    assertThat(use.runtimeBytes()).isZero();
    assertThat(plan.perDeviceBytes()).isEqualTo(Map.of("cpu", use.totalBytes()));
  }

  @Test
  void oneGpuIsTakenWhereAllFits() {
    Plan plan = FULL.plan(List.of(gpu(0, 20 * GIB), gpu(1, 24 * GIB), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "1"));
    assertThat(plan.breakdown().getFirst().kvBytes()).isEqualTo(57_344L * 4096);
    assertThat(plan.reason()).isEqualTo("everything on GPU 1: it fits on the GPU with most room");
  }

  @Test
  void twoSmallerGpusGetStagesOfWholeLayers() {
    Plan plan = FULL.plan(List.of(gpu(0, 12 * GIB), gpu(1, 12 * GIB), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap())
        .containsEntry("llm.model.embed_tokens", "0")
        .containsEntry("vpm", "0")
        .containsEntry("resampler", "0")
        .containsEntry("llm.model.layers.0", "0")
        .containsEntry("llm.model.layers.27", "1")
        .containsEntry("llm.lm_head", "1");
    assertThat(plan.perDeviceBytes()).containsOnlyKeys("0", "1");
    long difference = plan.perDeviceBytes().get("0") - plan.perDeviceBytes().get("1");
    assertThat(Math.abs(difference)).as("evenly filled to one layer").isLessThan(GIB / 2);
    assertThat(plan.reason()).endsWith("the model fits on no fewer than 2 GPUs");
  }

  @Test
  void noMoreGpusAreTakenThanAreNeeded() {
    Plan plan =
        FULL.plan(
            List.of(gpu(0, 6 * GIB), gpu(1, 12 * GIB), gpu(2, 12 * GIB), gpu(3, 6 * GIB)), REQUEST);

    assertThat(plan.perDeviceBytes()).containsOnlyKeys("1", "2");
  }

  @Test
  void layersThatNoGpuHoldsAreOnTheCpu() {
    Plan plan = FULL.plan(List.of(gpu(0, 10 * GIB), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap())
        .containsEntry("vpm", "0")
        .containsEntry("resampler", "0")
        .containsEntry("llm.model.layers.0", "0")
        .containsEntry("llm.model.layers.27", "cpu")
        // Only a row of the embeddings is read for a token: a layer gains more by the GPU's room.
        .containsEntry("llm.model.embed_tokens", "cpu");
    assertThat(plan.reason()).endsWith("the GPUs do not hold the whole model");
  }

  @Test
  void aGpuTooSmallForAnythingIsLeftAlone() {
    Plan plan = FULL.plan(List.of(gpu(0, GIB / 4), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "cpu"));
    assertThat(plan.reason())
        .isEqualTo("everything on cpu: no GPU has room for a part of the model");
  }

  @Test
  void aContextThatDoesNotFitIsRefusedWithOneThatDoes() {
    PlanRequest longest = REQUEST.withContextTokens(32768);
    List<DeviceBudget> devices = List.of(cpu(18 * GIB));

    assertThatThrownBy(() -> FULL.plan(devices, longest))
        .isInstanceOf(PlanException.class)
        .hasMessageMatching(
            "the model does not fit: it needs [\\d.]+ GiB \\(weights 15.1 GiB, KV cache 3.5 GiB for"
                + " 32768 tokens x 1, activations and runtime [\\d.]+ [GM]iB\\) and there are 18.0"
                + " GiB \\(cpu: 18.0 GiB\\), [\\d.]+ [GM]iB too little; a context of \\d+ tokens"
                + " would fit");
  }

  @Test
  void tooLittleMemoryForAnyContextIsSaid() {
    assertThatThrownBy(() -> FULL.plan(List.of(gpu(0, 2 * GIB), cpu(8 * GIB)), REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("(GPU 0: 2.0 GiB, cpu: 8.0 GiB)")
        .hasMessageContaining("no smaller context would make it fit");
    assertThatThrownBy(() -> FULL.plan(List.of(), REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessage("there is no device to place the model on: list cpu or a GPU");
  }

  @Test
  void requestsBeyondAnyMemoryAreRefused() {
    PlanRequest absurd = new PlanRequest(Integer.MAX_VALUE, Integer.MAX_VALUE, 1, 1, DType.BF16);

    assertThatThrownBy(() -> FULL.plan(List.of(cpu(GIB)), absurd))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("is more than any memory holds");
    assertThatThrownBy(() -> REQUEST.withContextTokens(0))
        .isInstanceOf(PlanException.class)
        .hasMessage("context tokens: 0, expected at least 1");
  }

  @Test
  void whateverIsPlannedFitsAndIsWholeAndWhatIsRefusedDoesNot() {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(20260701);
    Map<String, Integer> kinds = new HashMap<>();
    for (int round = 0; round < 600; round++) {
      ModelSizes sizes = randomSizes(random);
      PlanRequest request =
          new PlanRequest(
              1 + random.nextInt(5000),
              1 + random.nextInt(4),
              random.nextInt(11),
              1 + random.nextInt(600),
              random.nextBoolean() ? DType.BF16 : DType.F32);
      List<DeviceBudget> devices = randomDevices(random);
      DevicePlanner planner = new DevicePlanner(sizes);
      try {
        Plan plan = planner.plan(devices, request);
        assertThat(planner.plan(devices, request)).as("deterministic").isEqualTo(plan);
        check(plan, sizes, devices, request);
        kinds.merge(plan.deviceMap().size() == 1 ? "one device" : "stages", 1, Integer::sum);
      } catch (PlanException e) {
        checkRefusal(e, planner, devices, request);
        kinds.merge("refused", 1, Integer::sum);
      }
    }
    assertThat(kinds).hasSize(3).allSatisfy((kind, count) -> assertThat(count).isGreaterThan(30));
  }

  private static void check(
      Plan plan, ModelSizes sizes, List<DeviceBudget> devices, PlanRequest request) {
    ModuleTree tree = MiniCpmModules.of(sizes);
    Map<String, DeviceId> byPrefix = new LinkedHashMap<>();
    plan.deviceMap().forEach((path, device) -> byPrefix.put(path, DeviceId.parse(device)));
    Placement placement = new Placement(byPrefix);
    Map<String, Long> budgets =
        devices.stream().collect(Collectors.toMap(d -> d.device().label(), DeviceBudget::bytes));

    assertThat(tree.parameters().keySet()).allMatch(path -> placement.deviceOf(path) != null);
    assertThat(plan.perDeviceBytes())
        .allSatisfy((device, bytes) -> assertThat(bytes).isLessThanOrEqualTo(budgets.get(device)));
    assertThat(placement.deviceOf("vpm")).as("the vision tower is whole").isNotNull();
    assertThat(placement.deviceOf("resampler")).isNotNull();
    for (int layer = 0; layer < sizes.numHiddenLayers(); layer++) {
      assertThat(placement.deviceOf("llm.model.layers." + layer)).isNotNull();
    }
    checkContiguous(plan);
    long weights = plan.breakdown().stream().mapToLong(PerDevice::weightBytes).sum();
    assertThat(weights).isEqualTo(loadedBytes(tree, request.dtype()));
    long kvTokens = (long) request.contextTokens() * request.batch();
    long kvElements = 2L * sizes.numKeyValueHeads() * sizes.headDim() * sizes.numHiddenLayers();
    long kv = plan.breakdown().stream().mapToLong(PerDevice::kvBytes).sum();
    assertThat(kv).isBetween(2 * kvTokens * kvElements, 4 * kvTokens * kvElements);
  }

  /** No device comes back after another one took over. */
  private static void checkContiguous(Plan plan) {
    List<String> order = new ArrayList<>();
    plan.deviceMap()
        .forEach((path, device) -> {
          boolean isLayer = path.startsWith("llm.model.layers.");
          if (isLayer && (order.isEmpty() || !order.getLast().equals(device))) {
            order.add(device);
          }
        });
    assertThat(order).doesNotHaveDuplicates();
  }

  private static long loadedBytes(ModuleTree tree, DType dtype) {
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

  private static ModelSizes randomSizes(RandomGenerator random) {
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

  private static List<DeviceBudget> randomDevices(RandomGenerator random) {
    List<DeviceBudget> devices = new ArrayList<>();
    int gpus = random.nextInt(6);
    for (int i = 0; i < gpus; i++) {
      devices.add(gpu(2 * i, random.nextLong(3 * GIB)));
    }
    if (gpus == 0 || random.nextBoolean()) {
      devices.add(cpu(random.nextLong(8 * GIB)));
    }
    return devices;
  }

  private static DeviceBudget gpu(int index, long bytes) {
    return new DeviceBudget(DeviceId.gpu(index), bytes);
  }

  private static DeviceBudget cpu(long bytes) {
    return new DeviceBudget(DeviceId.CPU, bytes);
  }
}
