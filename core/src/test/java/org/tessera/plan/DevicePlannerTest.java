package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.error.PlanException;
import org.tessera.plan.Plan.PerDevice;
import org.tessera.tensor.DType;

/** Tessera's own plan. */
class DevicePlannerTest {
  private static final long GIB = 1L << 30;
  private static final DevicePlanner FULL = new DevicePlanner(Sizes.full().build());
  private static final DevicePlanner WHOLE =
      new DevicePlanner(Sizes.full().build(), OptionalInt.of(1), OptionalInt.of(1));
  private static final PlanRequest REQUEST = new PlanRequest(4096, 1, 10, 512, DType.BF16);

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
    Plan plan = FULL.plan(List.of(gpu(0, 24 * GIB), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "0"));
    assertThat(plan.breakdown().getFirst().kvBytes()).isEqualTo(57_344L * 4096);
    assertThat(plan.reason()).isEqualTo("everything on GPU 0: the model fits on the one GPU");
    assertThat(plan.deployment()).contains(Deployment.on(DeviceId.gpu(0), 28));
  }

  @Test
  void oneGpuIsTakenWhereTheOtherIsTooSmallToHelp() {
    Plan plan = FULL.plan(List.of(gpu(0, 3 * GIB), gpu(1, 24 * GIB)), REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "1"));
    assertThat(plan.reason())
        .matches("everything on GPU 1: (as fast as|1\\.\\d+ times as many) .*layers in stages.*");
    assertThat(reasonOf(plan, "tensor parallel over 2"))
        .matches("it takes 8\\.\\d GiB a card and GPU 0 has 3.0 GiB, 5\\.\\d GiB too little");
  }

  @Test
  void twoGpusShareEveryLayer() {
    Plan plan = FULL.plan(List.of(gpu(0, 24 * GIB), gpu(1, 24 * GIB), cpu(64 * GIB)), REQUEST);

    List<DeviceId> both = List.of(DeviceId.gpu(0), DeviceId.gpu(1));
    assertThat(plan.deployment())
        .contains(new Deployment(List.of(Deployment.Replica.cutOver(both, 28))));
    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "0,1"));
    assertThat(plan.breakdown()).extracting(PerDevice::kvBytes).containsOnly(57_344L * 4096 / 2);
    assertThat(plan.reason())
        .matches(
            "layers 0 to 27 cut over GPU 0 and GPU 1: 1\\.\\d+ times as many tokens a second as the"
                + " next best, one card");
    assertThat(plan.candidates())
        .extracting(Candidate::name)
        .containsExactly(
            "one card",
            "tensor parallel over 2",
            "layers in stages",
            "2 replicas, each on one card",
            "offload to cpu");
    assertThat(reasonOf(plan, "one card"))
        .matches("tensor parallel over 2 has 1\\.\\d+ times as many tokens a second");
    assertThat(reasonOf(plan, "2 replicas, each on one card"))
        .matches("tensor parallel over 2 has 1\\.\\d+ times as many tokens a second");
    assertThat(reasonOf(plan, "offload to cpu"))
        .isEqualTo("not needed: GPUs have room for the whole model");
  }

  @Test
  void manyAnswersAtOnceAreForReplicas() {
    List<DeviceBudget> two = List.of(gpu(0, 80 * GIB), gpu(1, 80 * GIB));
    PlanRequest brief = REQUEST.withContextTokens(700);
    Plan one = FULL.plan(two, brief);
    // So many that products wait for the processor and not for memory: cutting them gains nothing.
    Plan many = FULL.plan(two, brief.withBatch(512));

    assertThat(one.deployment().orElseThrow().replicas()).hasSize(1);
    assertThat(many.deployment())
        .contains(
            new Deployment(
                List.of(
                    Deployment.Replica.cutOver(List.of(DeviceId.gpu(0)), 28),
                    Deployment.Replica.cutOver(List.of(DeviceId.gpu(1)), 28))));
    // Half of the answers, and so of the cache, on each.
    assertThat(many.breakdown())
        .extracting(PerDevice::kvBytes)
        .containsExactly(256 * 57_344L * 700, 256 * 57_344L * 700);
  }

  @Test
  void headsThatRanksCannotShareAreSaid() {
    List<DeviceBudget> eight = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      eight.add(gpu(i, 24 * GIB));
    }
    Plan plan = FULL.plan(eight, REQUEST);

    assertThat(reasonOf(plan, "tensor parallel over 8"))
        .isEqualTo("4 key/value heads cannot be shared evenly by 8; by 2 or 4 they can");
    assertThat(FULL.plan(eight.subList(0, 7), REQUEST).candidates())
        .contains(
            new Candidate.Refused(
                "tensor parallel over 7",
                "4 key/value heads cannot be shared evenly by 7; by 2 or 4 they can"));
    DevicePlanner forced =
        new DevicePlanner(Sizes.full().build(), OptionalInt.of(8), OptionalInt.empty());
    assertThatThrownBy(() -> forced.plan(eight, REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessage(
            "tensor parallel over 8 is not possible: 4 key/value heads cannot be shared evenly by 8;"
                + " by 2 or 4 they can");
  }

  @Test
  void numbersThatAreAskedForAreFollowedOrRefused() {
    List<DeviceBudget> four =
        List.of(gpu(0, 24 * GIB), gpu(1, 24 * GIB), gpu(2, 24 * GIB), gpu(3, 24 * GIB));
    ModelSizes sizes = Sizes.full().build();
    DevicePlanner two = new DevicePlanner(sizes, OptionalInt.of(2), OptionalInt.of(2));
    DevicePlanner three = new DevicePlanner(sizes, OptionalInt.empty(), OptionalInt.of(3));
    DevicePlanner five = new DevicePlanner(sizes, OptionalInt.empty(), OptionalInt.of(5));
    DevicePlanner whole = new DevicePlanner(sizes, OptionalInt.of(1), OptionalInt.of(1));

    assertThat(two.plan(four, REQUEST).deployment().orElseThrow().replicas())
        .hasSize(2)
        .allSatisfy(replica -> assertThat(replica.devices()).hasSize(2));
    assertThat(three.plan(four, REQUEST).deployment().orElseThrow().replicas()).hasSize(3);
    assertThat(whole.plan(four, REQUEST).deviceMap()).isEqualTo(Map.of("", "0"));
    assertThatThrownBy(() -> five.plan(four, REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessage("5 replicas, each on one card is not possible: it takes 5 GPUs, there are 4");
    List<DeviceBudget> small = List.of(gpu(0, 10 * GIB), gpu(1, 10 * GIB));
    DevicePlanner cut = new DevicePlanner(sizes, OptionalInt.of(2), OptionalInt.empty());
    assertThatThrownBy(() -> cut.plan(small, REQUEST.withContextTokens(120_000)))
        .isInstanceOf(PlanException.class)
        .hasMessageMatching(
            "tensor parallel over 2 is not possible: it takes 11\\.\\d GiB a card and GPU . has 10.0"
                + " GiB, 1\\.\\d GiB too little; a context of \\d+ tokens would fit");
  }

  @Test
  void withoutAGpuRanksAndCopiesShareTheProcessor() {
    DevicePlanner forced =
        new DevicePlanner(Sizes.tiny().build(), OptionalInt.of(2), OptionalInt.of(2));
    List<DeviceId> ranks = List.of(DeviceId.CPU, DeviceId.CPU);

    Plan plan = forced.plan(List.of(cpu(GIB)), REQUEST);

    Deployment.Replica copy = Deployment.Replica.cutOver(ranks, 2);
    assertThat(plan.deployment()).contains(new Deployment(List.of(copy, copy)));
    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "cpu"));
  }

  @Test
  void twoSmallerGpusGetStagesOfWholeLayers() {
    Plan plan = WHOLE.plan(List.of(gpu(0, 12 * GIB), gpu(1, 12 * GIB), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap())
        .containsEntry("llm.model.embed_tokens", "0")
        .containsEntry("llm.model.layers.0", "0")
        .containsEntry("llm.model.layers.27", "1")
        .containsEntry("llm.lm_head", "1")
        // Both have room for the vision tower, and two encode faster than one.
        .containsEntry("vpm", "0,1")
        .containsEntry("resampler", "0,1");
    assertThat(plan.perDeviceBytes()).containsOnlyKeys("0", "1");
    List<Deployment.Stage> stages = plan.deployment().orElseThrow().replicas().getFirst().stages();
    // The head takes as long as two or three layers.
    assertThat(stages).extracting(Deployment.Stage::layerCount).containsExactly(15, 13);
    assertThat(plan.reason()).endsWith("nothing else fits");
  }

  @Test
  void noMoreStagesAreMadeThanHelp() {
    Plan plan =
        WHOLE.plan(
            List.of(gpu(0, 6 * GIB), gpu(1, 12 * GIB), gpu(2, 12 * GIB), gpu(3, 6 * GIB)), REQUEST);

    assertThat(plan.perDeviceBytes()).hasSize(2);
  }

  @Test
  void fasterCardsGetMoreLayers() {
    DeviceSpeed fast = new DeviceSpeed(4e12, 900e12, Link.DIRECT);
    DeviceSpeed slow = new DeviceSpeed(0.5e12, 70e12, Link.DIRECT);
    List<DeviceBudget> unequal =
        List.of(
            new DeviceBudget(DeviceId.gpu(0), 12 * GIB, slow),
            new DeviceBudget(DeviceId.gpu(1), 12 * GIB, fast));

    Plan plan = WHOLE.plan(unequal, REQUEST);

    Map<DeviceId, Integer> layers = new HashMap<>();
    for (Deployment.Stage stage : plan.deployment().orElseThrow().replicas().getFirst().stages()) {
      layers.merge(stage.ranks().getFirst(), stage.layerCount(), Integer::sum);
    }
    assertThat(layers.get(DeviceId.gpu(1)))
        .as("as many as it has room for")
        .isGreaterThan(layers.get(DeviceId.gpu(0)) + 8);
    assertThat(plan.deviceMap()).containsEntry("llm.lm_head", "1");
  }

  @Test
  void layersThatNoGpuHoldsAreOnTheCpu() {
    Plan plan = FULL.plan(List.of(gpu(0, 10 * GIB), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap())
        .containsEntry("vpm", "0")
        .containsEntry("resampler", "0")
        .containsValue("cpu")
        // Only a row of the embeddings is read for a token: a layer gains more by the GPU's room.
        .containsEntry("llm.model.embed_tokens", "cpu");
    assertThat(plan.reason())
        .endsWith("pictures need not wait for the CPU, as they would with cpu alone");
    assertThat(reasonOf(plan, "one card")).contains("GiB too little");
  }

  @Test
  void aGpuTooSmallForAnythingIsLeftAlone() {
    Plan plan = FULL.plan(List.of(gpu(0, GIB / 4), cpu(64 * GIB)), REQUEST);

    assertThat(plan.deviceMap()).isEqualTo(Map.of("", "cpu"));
    assertThat(plan.reason()).isEqualTo("everything on cpu: nothing else fits");
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
    assertThatThrownBy(() -> FULL.plan(List.of(gpu(0, 8 * GIB)), REQUEST))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining(" GiB too little; no smaller context")
        .hasMessageEndingWith(", or cpu among the devices for the layers that are left over");
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

  private static String reasonOf(Plan plan, String name) {
    return plan.candidates().stream()
        .filter(candidate -> candidate.name().equals(name))
        .findFirst()
        .orElseThrow()
        .reason();
  }

  private static DeviceBudget gpu(int index, long bytes) {
    return new DeviceBudget(DeviceId.gpu(index), bytes);
  }

  private static DeviceBudget cpu(long bytes) {
    return new DeviceBudget(DeviceId.CPU, bytes);
  }
}
