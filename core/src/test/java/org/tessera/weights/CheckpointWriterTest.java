package org.tessera.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;

class CheckpointWriterTest {
  @TempDir Path folder;

  @Test
  void whatIsWrittenIsReadAgain() {
    // Larger than a piece, of odd length, a vector, a convolution.
    Map<String, Shape> shapes =
        Map.of(
            "a.weight", Shape.of(5003, 7001),
            "b.bias", Shape.of(13),
            "c.\"d\".weight", Shape.of(3, 2, 5, 1));
    try (RandomWeights weights = new RandomWeights(shapes, DType.BF16, 3)) {
      CheckpointWriter.write(weights, folder);
      try (SafetensorsCheckpoint read = SafetensorsCheckpoint.open(folder)) {
        assertThat(read.names()).isEqualTo(weights.names());
        for (String name : shapes.keySet()) {
          assertThat(read.info(name).shape()).isEqualTo(shapes.get(name));
          assertThat(read.info(name).dtype()).isEqualTo(DType.BF16);
          assertThat(read.get(name).memory().mismatch(weights.get(name).memory())).isEqualTo(-1);
        }
      }
      assertThatThrownBy(() -> CheckpointWriter.write(weights, folder))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("model.safetensors");
    }
  }
}
