package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import org.junit.jupiter.api.Test;
import org.tessera.device.DeviceInfo;
import org.tessera.error.PlanException;
import org.tessera.tensor.DType;
import tools.jackson.databind.json.JsonMapper;

/** What a user may ask for, and what is answered. */
class PlanServiceTest {
  private static final long GIB = 1L << 30;
  private static final ModelSizes FULL = Sizes.full().build();
  private static final PlanRequest REQUEST = new PlanRequest(4096, 1, 10, 512, DType.F16);
  private static final List<DeviceBudget> CPU_ONLY =
      List.of(DeviceBudget.of(new DeviceInfo("cpu", "a processor", 32 * GIB, 24 * GIB)));
  private static final List<DeviceBudget> TWO_GPUS =
      List.of(
          DeviceBudget.of(new DeviceInfo("cuda:0", "a card", 24 * GIB, 20 * GIB)),
          DeviceBudget.of(new DeviceInfo("cuda:1", "a card", 24 * GIB, 20 * GIB)),
          CPU_ONLY.getFirst());

  @Test
  void autoIsOurOwnPlan() {
    Plan plan = PlanService.plan(FULL, PlanOptions.AUTO, CPU_ONLY, REQUEST);

    assertThat(plan).isEqualTo(new DevicePlanner(FULL).plan(CPU_ONLY, REQUEST));
  }

  @Test
  void theJsonFormHasItsKeysInOrder() {
    Plan plan = PlanService.plan(FULL, PlanOptions.AUTO, CPU_ONLY, REQUEST);
    Prediction prediction = ((Candidate.Feasible) plan.candidates().getFirst()).prediction();
    long bytes = plan.perDeviceBytes().get("cpu");

    assertThat(new JsonMapper().writeValueAsString(plan.toJson()))
        .isEqualTo(
            "{\"device_map\":{\"\":\"cpu\"},\"per_device_bytes\":{\"cpu\":%d},".formatted(bytes)
                + "\"reason\":\"everything on cpu: no GPU is given\",\"notes\":[],"
                + "\"deployment\":{\"replicas\":[{\"stages\":[{\"ranks\":[\"cpu\"],"
                + "\"first_layer\":0,\"end_layer\":28}],\"vision\":[\"cpu\"]}]},"
                + "\"workload\":{\"prompt_tokens\":691,\"slices\":10,\"batch\":1},"
                + "\"candidates\":[{\"name\":\"cpu alone\",\"chosen\":true,"
                + "\"reason\":\"no GPU is given\",\"feasible\":true,"
                + "\"placement\":\"everything on cpu\",\"per_device_bytes\":{\"cpu\":%d},"
                    .formatted(bytes)
                + "\"first_token_seconds\":%s,\"token_seconds\":%s,\"tokens_per_second\":%s}]}"
                    .formatted(
                        prediction.firstTokenSeconds(),
                        prediction.tokenSeconds(),
                        prediction.tokensPerSecond()));
  }

  @Test
  void compatPlansNothingToRun() {
    Plan plan =
        PlanService.plan(FULL, options("auto", "0=8GiB,cpu=64GiB", true), CPU_ONLY, REQUEST);

    assertThat(plan.deployment()).isEmpty();
    assertThat(plan.candidates()).isEmpty();
    assertThat(plan.toJson()).containsOnlyKeys("device_map", "per_device_bytes", "reason", "notes");
  }

  @Test
  void compatGivesTheMapsAndWeightsOfAccelerate() {
    long weightBytes = 2L * (8_099_175_152L + 128);
    // Where accelerate cuts the resampler it forgets its table of positions.
    long positionBytes = 2L * 70 * 70 * 3584;
    for (DeviceMapVectors.Case expected : DeviceMapVectors.ofTheFullSizeModel().cases()) {
      PlanOptions options =
          new PlanOptions(
              new DeviceMapChoice.Named(expected.strategy()),
              Optional.of(expected.maxMemory()),
              Optional.of(expected.noSplitClasses()),
              true);

      Plan plan = PlanService.plan(FULL, options, CPU_ONLY, REQUEST);

      assertThat(plan.deviceMap().entrySet())
          .containsExactlyElementsOf(expected.deviceMap().entrySet());
      assertThat(plan.perDeviceBytes().values().stream().mapToLong(Long::longValue).sum())
          .isIn(weightBytes, weightBytes + positionBytes);
      assertThat(plan.perDeviceBytes())
          .allSatisfy((device, bytes) -> {
            long cap =
                expected.balancedMemory().getOrDefault(DeviceId.parse(device), Long.MAX_VALUE);
            assertThat(bytes).isLessThanOrEqualTo(cap);
          });
    }
  }

  @Test
  void autoUnderCompatIsBalanced() {
    PlanOptions auto = options("auto", "0=8GiB,1=8GiB,cpu=64GiB", true);
    PlanOptions balanced = options("balanced", "0=8GiB,1=8GiB,cpu=64GiB", true);

    assertThat(PlanService.plan(FULL, auto, CPU_ONLY, REQUEST).deviceMap())
        .isEqualTo(PlanService.plan(FULL, balanced, CPU_ONLY, REQUEST).deviceMap());
  }

  @Test
  void strategiesWithoutCompatCountMoreThanWeights() {
    Plan plan = PlanService.plan(FULL, options("balanced", null, false), TWO_GPUS, REQUEST);

    assertThat(plan.deviceMap()).containsEntry("vpm", "1").containsEntry("llm.lm_head", "1");
    assertThat(plan.breakdown()).allMatch(use -> use.kvBytes() > 0 && use.runtimeBytes() > 0);
    assertThat(plan.notes()).isEmpty();
    List<Deployment.Stage> stages = plan.deployment().orElseThrow().replicas().getFirst().stages();
    assertThat(stages).hasSize(2);
    assertThat(stages.getFirst().ranks()).containsExactly(DeviceId.gpu(0));
  }

  @Test
  void strategiesWithoutCompatSayWhatOverflowsAGpu() {
    PlanOptions tight = options("sequential", "0=8GiB,1=12GiB", false);
    PlanRequest longest = REQUEST.withContextTokens(32768);

    Plan plan = PlanService.plan(FULL, tight, CPU_ONLY, longest);

    assertThat(plan.notes())
        .singleElement()
        .asString()
        .matches(
            "GPU 0 takes [\\d.]+ [GM]iB more than its 8.0 GiB with KV cache and activations.*");
  }

  @Test
  void strategiesWithoutCompatRefuseTheDisk() {
    assertThatThrownBy(
            () -> PlanService.plan(FULL, options("balanced", "0=8GiB", false), CPU_ONLY, REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessageStartingWith("the model does not fit within GPU 0: 8.0 GiB, and disk, where")
        .hasMessageContaining("(left over: llm.model.layers.13, ");
    assertThatThrownBy(
            () -> PlanService.plan(FULL, options("auto", "disk=1GiB", false), CPU_ONLY, REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessage("--max-memory lists disk, which is not supported: list cpu or a GPU");
  }

  @Test
  void aSingleGpuOfUnsetBudgetKeepsATenth() {
    List<DeviceBudget> one = List.of(new DeviceBudget(DeviceId.gpu(0), 17 * GIB), cpu());

    Plan balanced = PlanService.plan(FULL, options("balanced", null, true), one, REQUEST);
    Plan sequential = PlanService.plan(FULL, options("sequential", null, true), one, REQUEST);

    assertThat(balanced.reason()).contains("GPU 0: 15.3 GiB");
    assertThat(sequential.reason()).contains("GPU 0: 17.0 GiB");
  }

  @Test
  void aMapIsFollowed() {
    Plan plan =
        PlanService.plan(
            FULL, map("{\"llm\": 1, \"vpm\": 0, \"resampler\": 0}"), TWO_GPUS, REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("llm", "1", "vpm", "0", "resampler", "0"));
    assertThat(plan.breakdown()).extracting(Plan.PerDevice::device).containsExactly("0", "1");
    assertThat(plan.reason()).isEqualTo("as the device map says");
    assertThat(plan.deployment())
        .contains(
            new Deployment(
                List.of(
                    new Deployment.Replica(
                        List.of(new Deployment.Stage(List.of(DeviceId.gpu(1)), 0, 28)),
                        List.of(DeviceId.gpu(0))))));
    assertThat(plan.candidates()).singleElement().matches(plan::isChosen);
  }

  @Test
  void budgetsOfDevicesThatAreThereAreCutToWhatIsFree() {
    Plan plan = PlanService.plan(FULL, options("auto", "1=80GiB", false), TWO_GPUS, REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "1"));
    assertThat(plan.notes())
        .containsExactly("GPU 1 has 20.0 GiB free, less than the 80.0 GiB of --max-memory");
    assertThatThrownBy(
            () -> PlanService.plan(FULL, options("auto", "3=8GiB", false), TWO_GPUS, REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessage(
            "--max-memory lists GPU 3, which is not there: expected one of GPU 0, GPU 1, cpu");
  }

  @Test
  void numbersGoWithOurOwnPlanAlone() {
    PlanOptions two = PlanOptions.AUTO.withNumbers(OptionalInt.of(2), OptionalInt.empty());

    assertThat(PlanService.plan(FULL, two, TWO_GPUS, REQUEST).deviceMap())
        .isEqualTo(Map.of("", "0,1"));
    assertThatThrownBy(() ->
            options("balanced", null, false).withNumbers(OptionalInt.of(2), OptionalInt.of(1)))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("goes with the device map auto");
    assertThatThrownBy(() -> PlanOptions.AUTO.withNumbers(OptionalInt.empty(), OptionalInt.of(0)))
        .isInstanceOf(PlanException.class)
        .hasMessage("replicas: 0, expected at least 1");
  }

  @Test
  void keysOfAMapThatMatchNothingAreReported() {
    Plan plan = PlanService.plan(FULL, map("{\"\": 0, \"visual\": 1}"), TWO_GPUS, REQUEST);

    assertThat(plan.notes())
        .containsExactly("keys of the device map that match nothing in the model: visual");
  }

  @Test
  void devicesThatAreNotThereAreRefused() {
    assertThatThrownBy(() -> PlanService.plan(FULL, map("{\"\": 2}"), TWO_GPUS, REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessage(
            "the device map names GPU 2, which is not there: expected one of GPU 0, GPU 1, cpu");
  }

  @Test
  void withoutAnyDeviceThatIsSaid() {
    for (PlanOptions options :
        List.of(PlanOptions.AUTO, map("{\"\": 0}"), options("balanced", null, true))) {
      assertThatThrownBy(() -> PlanService.plan(FULL, options, List.of(), REQUEST))
          .isInstanceOf(PlanException.class)
          .hasMessage("there is no device to place the model on: list cpu or a GPU");
    }
  }

  @Test
  void aMapThatDoesNotFitIsRefusedByHowMuch() {
    PlanRequest longest = REQUEST.withContextTokens(200_000);

    assertThatThrownBy(() -> PlanService.plan(FULL, map("{\"\": \"cuda:0\"}"), TWO_GPUS, longest))
        .isInstanceOf(PlanException.class)
        .hasMessageMatching(
            "the device map puts [\\d.]+ GiB on GPU 0, [\\d.]+ GiB more than the 20.0 GiB it has:"
                + " map less to it or ask for a smaller context");
  }

  @Test
  void aClassThatIsNotInTheModelIsReported() {
    PlanOptions options =
        new PlanOptions(
            new DeviceMapChoice.Named(Strategy.BALANCED),
            Optional.empty(),
            Optional.of(List.of("Qwen2DecoderLayer", "LlamaDecoderLayer")),
            false);

    assertThat(PlanService.plan(FULL, options, TWO_GPUS, REQUEST).notes())
        .containsExactly("--no-split names no class of the model: LlamaDecoderLayer");
  }

  private static PlanOptions options(String strategy, String maxMemory, boolean compat) {
    Optional<SortedMap<DeviceId, Long>> budgets =
        Optional.ofNullable(maxMemory).map(MaxMemory::parse);
    return new PlanOptions(DeviceMapChoice.parse(strategy), budgets, Optional.empty(), compat);
  }

  private static PlanOptions map(String json) {
    Placement placement = DeviceMapFile.parse(json, "map.json");
    return new PlanOptions(
        new DeviceMapChoice.Explicit(placement), Optional.empty(), Optional.empty(), false);
  }

  private static DeviceBudget cpu() {
    return CPU_ONLY.getFirst();
  }
}
