package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;

class RandomWeightsTest {
  private static final Map<String, Shape> SHAPES =
      Map.of(
          "llm.model.embed_tokens.weight", Shape.of(4500, 4000),
          "layers.0.q_proj.weight", Shape.of(512, 512),
          "layers.0.q_proj.bias", Shape.of(512),
          "layers.1.q_proj.weight", Shape.of(512, 512),
          "layers.0.input_layernorm.weight", Shape.of(512),
          "vpm.embeddings.patch_embedding.weight", Shape.of(32, 3, 14, 14));

  @ParameterizedTest
  @EnumSource(names = "I32", mode = EnumSource.Mode.EXCLUDE)
  void valuesHaveTheScaleOfTrainedOnes(DType dtype) {
    try (RandomWeights weights = new RandomWeights(SHAPES, dtype, 7)) {
      assertMoments(weights.get("layers.0.q_proj.weight"), 0, 0.02);
      assertMoments(weights.get("layers.0.q_proj.bias"), 0, 0.002);
      assertMoments(weights.get("layers.0.input_layernorm.weight"), 1, 0);
      assertThat(weights.get("layers.0.q_proj.bias").dtype()).isEqualTo(dtype);
    }
  }

  private static void assertMoments(Tensor tensor, double mean, double deviation) {
    double sum = 0;
    double squares = 0;
    for (float[] row : HostDevice.elements(tensor)) {
      for (float element : row) {
        sum += element;
        squares += (element - mean) * (element - mean);
      }
    }
    long elements = (long) tensor.rows() * tensor.columns();
    double tolerance = 0.15 * deviation + 1e-12;
    assertThat(sum / elements).isCloseTo(mean, within(tolerance));
    assertThat(Math.sqrt(squares / elements)).isCloseTo(deviation, within(tolerance));
  }

  @Test
  void theSameSeedGivesTheSameWeightsInAnyOrder() {
    try (RandomWeights first = new RandomWeights(SHAPES, DType.BF16, 7);
        RandomWeights second = new RandomWeights(SHAPES, DType.BF16, 7);
        RandomWeights other = new RandomWeights(SHAPES, DType.BF16, 8)) {
      first.names().stream().sorted().forEach(first::get);
      second.names().stream().sorted((a, b) -> b.compareTo(a)).forEach(second::get);
      for (String name : first.names()) {
        assertThat(first.get(name).memory().mismatch(second.get(name).memory()))
            .as(name)
            .isEqualTo(-1);
        if (!name.endsWith("layernorm.weight")) {
          assertThat(first.get(name).memory().mismatch(other.get(name).memory()))
              .as(name)
              .isNotEqualTo(-1);
        }
      }
    }
  }

  /** The embedding has more elements than the pool from which it is filled. */
  @Test
  void tensorsAndTheirRowsDiffer() {
    try (RandomWeights weights = new RandomWeights(SHAPES, DType.BF16, 7)) {
      MemorySegment q0 = weights.get("layers.0.q_proj.weight").memory();
      MemorySegment q1 = weights.get("layers.1.q_proj.weight").memory();
      assertThat(q0.mismatch(q1)).isBetween(0L, 16L);

      Tensor table = weights.get("llm.model.embed_tokens.weight");
      byte[] first = table.rows(0, 1).memory().asSlice(0, 8000).toArray(JAVA_BYTE);
      for (int row = 1; row < table.rows(); row++) {
        MemorySegment other = table.rows(row, row + 1).memory().asSlice(0, 8000);
        assertThat(other.mismatch(MemorySegment.ofArray(first))).isBetween(0L, 64L);
      }
      assertThat(HostDevice.element(table, 4499, 3999)).isNotZero();
    }
  }

  @Test
  void theyHaveTheirShapes() {
    try (RandomWeights weights = new RandomWeights(SHAPES, DType.F16, 7)) {
      assertThat(weights.names()).isEqualTo(SHAPES.keySet());
      Tensor patches = weights.get("vpm.embeddings.patch_embedding.weight");
      assertThat(patches.rows()).isEqualTo(32);
      assertThat(patches.columns()).isEqualTo(588);
      assertThat(weights.get("layers.0.q_proj.bias").rows()).isEqualTo(1);
      assertThat(weights.info("layers.0.q_proj.weight"))
          .isEqualTo(new WeightSource.WeightInfo("random weights", DType.F16, Shape.of(512, 512)));
      assertThat(weights.totalBytes())
          .isEqualTo(2L * (4500 * 4000 + 512 * 512 * 2 + 512 * 2 + 32 * 588));
      assertThat(weights.get("layers.0.q_proj.bias")).isSameAs(weights.get("layers.0.q_proj.bias"));
    }
  }

  @Test
  void namesWithoutAShapeAreMissing() {
    try (RandomWeights weights = new RandomWeights(SHAPES, DType.BF16, 7)) {
      assertThatThrownBy(() -> weights.get("lm_head.weight"))
          .isInstanceOf(CheckpointException.class)
          .hasMessage("random weights: tensor lm_head.weight is missing");
    }
  }

  @Test
  void integersAreNotWeights() {
    assertThatThrownBy(() -> new RandomWeights(SHAPES, DType.I32, 7).close())
        .isInstanceOf(IllegalArgumentException.class);
  }
}
