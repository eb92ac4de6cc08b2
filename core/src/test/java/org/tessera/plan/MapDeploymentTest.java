package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import org.junit.jupiter.api.Test;
import org.tessera.error.PlanException;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.Plan.PerDevice;
import org.tessera.tensor.DType;

/** From device maps to what the engine runs. */
class MapDeploymentTest {
  private static final ModelSizes FULL = Sizes.full().build();
  private static final ModuleTree TREE = MiniCpmModules.of(FULL);
  private static final PlanRequest REQUEST = new PlanRequest(4096, 2, 10, 512, DType.BF16);

  @Test
  void layersBecomeStagesInOrder() {
    MapDeployment map =
        of("{\"\": 1, \"llm.model.embed_tokens\": \"cpu\", \"llm.model.layers.3\": 0}");

    assertThat(map.deployment().replicas().getFirst())
        .isEqualTo(
            new Replica(
                List.of(
                    stage(DeviceId.CPU, 0, 0),
                    stage(DeviceId.gpu(1), 0, 3),
                    stage(DeviceId.gpu(0), 3, 4),
                    stage(DeviceId.gpu(1), 4, 28)),
                List.of(DeviceId.gpu(1))));
    assertThat(map.notes()).isEmpty();
  }

  /** What OpenBMB's guide pins to one GPU, and the norm, which accelerate leaves at the end. */
  @Test
  void theNormFollowsTheHead() {
    MapDeployment map =
        of(
            "{\"\": 1, \"llm.model.embed_tokens\": 0, \"llm.model.layers.0\": 0, \"llm.lm_head\":"
                + " 0, \"vpm\": 0, \"resampler\": 0}");

    assertThat(map.deployment().replicas().getFirst().stages())
        .containsExactly(
            stage(DeviceId.gpu(0), 0, 1),
            stage(DeviceId.gpu(1), 1, 28),
            stage(DeviceId.gpu(0), 28, 28));
    assertThat(map.notes())
        .containsExactly("llm.model.norm is on GPU 0 and not on GPU 1, beside llm.lm_head");
    assertThat(map.placement().deviceOf("llm.model.norm.weight")).isEqualTo(DeviceId.gpu(0));
  }

  @Test
  void whatRunsAsOnePieceIsNotCut() {
    assertRefused(
        "{\"\": 0, \"vpm.encoder.layers.5\": 1}",
        "the device map cuts vpm over GPU 0 and GPU 1, and it runs as one piece: map vpm to one of"
            + " them");
    assertRefused(
        "{\"\": 0, \"llm.model.layers.7.mlp\": \"cpu\"}",
        "the device map cuts llm.model.layers.7 over GPU 0 and cpu, and it runs as one piece: map"
            + " llm.model.layers.7 to one of them");
    assertRefused(
        "{\"\": 0, \"resampler\": 1}",
        "the device map puts vpm on GPU 0 and resampler on GPU 1, and the two run together: map"
            + " both to the same device");
  }

  @Test
  void aStrategysResamplerFollowsTheVisionTower() {
    Placement placement = DeviceMapFile.parse("{\"\": 0, \"resampler.query\": 1}", "map");
    Placement apart = DeviceMapFile.parse("{\"\": 0, \"resampler\": 1}", "map");

    MapDeployment map = MapDeployment.of(apart, TREE, FULL, "balanced", true);

    assertThat(map.notes()).containsExactly("resampler is on GPU 0 and not on GPU 1, beside vpm");
    assertThat(map.placement().merged(TREE)).isEqualTo(Placement.everythingOn(DeviceId.gpu(0)));
    assertThatThrownBy(() -> MapDeployment.of(placement, TREE, FULL, "balanced", true))
        .isInstanceOf(PlanException.class)
        .hasMessageStartingWith("balanced cuts resampler over GPU 0 and GPU 1");
  }

  /** The bytes of a map are counted tensor by tensor, those of its deployment by formulas. */
  @Test
  void mapAndDeploymentTakeTheSameBytes() {
    for (String json :
        List.of(
            "{\"\": 0}",
            "{\"\": \"cpu\"}",
            "{\"\": 1, \"vpm\": 0, \"resampler\": 0}",
            "{\"\": 1, \"llm.model.embed_tokens\": \"cpu\", \"llm.model.layers.3\": 0}",
            "{\"\": 0, \"llm.lm_head\": 1, \"llm.model.norm\": 1, \"llm.model.rotary_emb\": 1}")) {
      for (boolean tied : List.of(false, true)) {
        ModelSizes sizes = Sizes.full().tied(tied).build();
        ModuleTree tree = MiniCpmModules.of(sizes);
        MemoryModel memory = new MemoryModel(sizes, tree, REQUEST);
        Placement placement = DeviceMapFile.parse(json, "map");
        MapDeployment map = MapDeployment.of(placement, tree, sizes, "map", false);

        SortedMap<DeviceId, PerDevice> byTensor = memory.predict(map.placement());

        assertThat(DeploymentMemory.predict(memory, map.deployment()))
            .as("%s, tied %s", json, tied)
            .isEqualTo(byTensor);
      }
    }
  }

  /** Two ranks hold the model once and what both need twice. */
  @Test
  void ranksHoldTheirPartOfEveryMatrix() {
    MemoryModel memory = new MemoryModel(FULL, TREE, REQUEST);
    List<DeviceId> four = List.of(0, 1, 2, 3).stream().map(DeviceId::gpu).toList();
    PerDevice whole =
        DeploymentMemory.predict(memory, Deployment.on(DeviceId.gpu(0), 28))
            .firstEntry()
            .getValue();

    Map<DeviceId, PerDevice> cut =
        DeploymentMemory.predict(memory, new Deployment(List.of(Replica.cutOver(four, 28))));

    long paddedRows = 2;
    long replicated =
        2L * 151_666 * 3584 // embeddings
            + (28 * 2 + 1) * 2L * 3584 // norms
            + 2L * 128 // rotary frequencies
            + memory.visionWeightBytes();
    long sum = cut.values().stream().mapToLong(PerDevice::weightBytes).sum();
    assertThat(cut.values()).hasSize(4);
    assertThat(sum - whole.weightBytes()).isEqualTo(3 * replicated + paddedRows * 2 * 3584);
    assertThat(cut.values())
        .allSatisfy(use -> {
          assertThat(use.kvBytes()).isEqualTo(whole.kvBytes() / 4);
          assertThat(use.activationBytes()).isLessThan(whole.activationBytes());
          assertThat(use.visionPeakBytes()).isEqualTo(whole.visionPeakBytes());
        });
  }

  private static Stage stage(DeviceId device, int first, int end) {
    return new Stage(List.of(device), first, end);
  }

  private static MapDeployment of(String json) {
    return MapDeployment.of(DeviceMapFile.parse(json, "map"), TREE, FULL, "the device map", false);
  }

  private static void assertRefused(String json, String message) {
    assertThatThrownBy(() -> of(json)).isInstanceOf(PlanException.class).hasMessage(message);
  }
}
