package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tessera.error.CheckpointException;
import org.tessera.plan.ModuleTree.ModuleNode;
import org.tessera.plan.ModuleTree.TensorSpec;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;

class MiniCpmModulesTest {

  @Test
  void theTreeOfTheFullSizeConfigIsTheOneThatPyTorchListed() {
    Optional<Path> file = DeviceMapVectors.file();
    assumeTrue(file.isPresent(), "the conformance directory has no device_map.json");
    List<ModuleNode> expected = DeviceMapVectors.read(file.orElseThrow()).tree().modules();

    // The file does not say in what type parameters were; the reader takes float32.
    List<ModuleNode> modules = MiniCpmModules.of(Sizes.full().dtype(DType.F32).build()).modules();

    assertThat(modules).containsExactlyElementsOf(expected);
  }

  @Test
  void parametersAreAsManyAsTheCheckpointHas() {
    ModuleTree tree = MiniCpmModules.of(Sizes.full().build());

    assertThat(tree.parameters()).hasSize(789);
    assertThat(tree.parameters().values().stream().mapToLong(MiniCpmModulesTest::elements).sum())
        .isEqualTo(8_099_175_152L);
  }

  @Test
  void headWidthMayDifferFromHiddenOverHeads() {
    ModuleTree tree = MiniCpmModules.of(Sizes.tiny().headDim(32).build());

    assertThat(tree.parameters().get("llm.model.layers.0.self_attn.q_proj.weight").shape())
        .isEqualTo(Shape.of(4 * 32, 512));
    assertThat(tree.parameters().get("llm.model.layers.0.self_attn.o_proj.weight").shape())
        .isEqualTo(Shape.of(512, 4 * 32));
    assertThat(tree.buffers().get("llm.model.rotary_emb.inv_freq").shape()).isEqualTo(Shape.of(16));
  }

  @Test
  void aDroppedVisionLayerIsNotThere() {
    ModuleTree tree = MiniCpmModules.of(Sizes.tiny().dropVisionLastLayer(true).build());

    assertThat(tree.module("vpm.encoder.layers.0")).isNotNull();
    assertThat(tree.module("vpm.encoder.layers.1")).isNull();
  }

  @Test
  void tiedEmbeddingsAreOneTensorUnderTwoNames() {
    ModuleTree tree = MiniCpmModules.of(Sizes.tiny().tied(true).build());

    assertThat(tree.parameters()).containsKey("llm.lm_head.weight");
    assertThat(tree.owner("llm.lm_head.weight")).isEqualTo("llm.model.embed_tokens.weight");
    assertThat(tree.owner("vpm.post_layernorm.weight")).isEqualTo("vpm.post_layernorm.weight");
  }

  @Test
  void sizesOutOfRangeAreRefusedByKey() {
    assertThatThrownBy(() -> Sizes.tiny().layers(Integer.MAX_VALUE).build())
        .isInstanceOf(CheckpointException.class)
        .hasMessage("config.json: num_hidden_layers is 2147483647, expected 1 to 1024");
    assertThatThrownBy(() -> Sizes.tiny().layers(0).build())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("num_hidden_layers is 0");
    assertThatThrownBy(() -> Sizes.tiny().visionLayers(1).dropVisionLastLayer(true).build())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("drop_vision_last_layer");
  }

  @Test
  void modulesOutOfOrderAreRefused() {
    ModuleNode root = new ModuleNode("", "Model", List.of(), List.of());
    ModuleNode orphan = new ModuleNode("a.b", "Linear", List.of(), List.of());

    assertThatThrownBy(() -> new ModuleTree(List.of(root, orphan), List.of()))
        .hasMessageContaining("\"a.b\" has no parent");
    assertThatThrownBy(() -> new ModuleTree(List.of(root, root), List.of()))
        .hasMessageContaining("out of order");
    assertThatThrownBy(() -> new ModuleTree(List.of(root), List.of(List.of("x", "y"))))
        .hasMessageContaining("no parameters");
  }

  private static long elements(TensorSpec tensor) {
    return tensor.shape().elements();
  }
}
