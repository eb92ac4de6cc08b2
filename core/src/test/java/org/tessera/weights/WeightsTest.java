package org.tessera.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights.Part;

class WeightsTest {
  private static final List<Part> QKV =
      List.of(new Part("q.weight", 4), new Part("k.weight", 2), new Part("v.weight", 2));
  private static final List<Part> QKV_BIAS =
      List.of(new Part("q.bias", 4), new Part("k.bias", 2), new Part("v.bias", 2));

  @TempDir static Path directory;

  private final HostDevice device = new HostDevice();
  private final DeviceMemory region = device.allocateRegion();
  private final List<Long> progress = new ArrayList<>();
  private SafetensorsCheckpoint source;
  private Weights layer;

  /** Element (r, c) of a weight is {@code hundreds + 10 r + c}. */
  @BeforeEach
  void open() throws IOException {
    new SafetensorsWriter()
        .tensor("model.layers.0.q.weight", "F32", Shape.of(4, 4), floats(100, 4, 4))
        .tensor("model.layers.0.k.weight", "F32", Shape.of(2, 4), floats(200, 2, 4))
        .tensor("model.layers.0.v.weight", "F32", Shape.of(2, 4), floats(300, 2, 4))
        .tensor("model.layers.0.q.bias", "F32", Shape.of(4), floats(400, 1, 4))
        .tensor("model.layers.0.k.bias", "F32", Shape.of(2), floats(500, 1, 2))
        .tensor("model.layers.0.v.bias", "F32", Shape.of(2), floats(600, 1, 2))
        .tensor("model.layers.0.proj", "F32", Shape.of(3, 5), floats(700, 3, 5))
        .tensor("model.layers.0.conv", "F32", Shape.of(2, 1, 2, 2), floats(800, 2, 4))
        .write(directory.resolve("model.safetensors"));
    source = SafetensorsCheckpoint.open(directory);
    layer =
        Weights.root(
                source,
                device,
                region,
                DType.BF16,
                (done, total) -> progress.addAll(List.of(done, total)))
            .at("model")
            .at("layers.0");
  }

  @AfterEach
  void close() {
    source.close();
  }

  private static byte[] floats(int hundreds, int rows, int columns) {
    ByteBuffer bytes =
        ByteBuffer.allocate(rows * columns * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        bytes.putFloat(hundreds + 10 * row + column);
      }
    }
    return bytes.array();
  }

  private static float[][] rows(Matrix matrix) {
    return matrix.parts().stream()
        .flatMap(part -> List.of(HostDevice.elements(part)).stream())
        .toArray(float[][]::new);
  }

  private static List<Float> column(Matrix matrix, int column) {
    return Arrays.stream(rows(matrix)).map(row -> row[column]).toList();
  }

  @Test
  void matricesAreFetchedByTheirPath() {
    Matrix matrix = layer.matrix("k.weight", 2, 4);

    assertThat(rows(matrix))
        .isDeepEqualTo(new float[][] {{200, 201, 202, 203}, {210, 211, 212, 213}});
    assertThat(device.placedTypes).containsExactly(DType.BF16);
    assertThat(device.usedRegions).containsExactly(region);
    assertThat(layer.has("k.weight")).isTrue();
    assertThat(layer.has("k.scale")).isFalse();
  }

  @Test
  void vectorsAreFetchedAndCut() {
    assertThat(HostDevice.elements(layer.vector("q.bias", 4)))
        .isDeepEqualTo(new float[][] {{400, 401, 402, 403}});
    assertThat(HostDevice.elements(layer.vector("q.bias", 4, Cut.rows(1, 2))))
        .isDeepEqualTo(new float[][] {{402, 403}});
    assertThat(HostDevice.elements(layer.vector("q.bias", 4, Cut.columns(1, 2))))
        .isDeepEqualTo(new float[][] {{400, 401, 402, 403}});
    assertThat(HostDevice.elements(layer.vectorRange("q.bias", 4, 1, 3)))
        .isDeepEqualTo(new float[][] {{401, 402}});
  }

  @Test
  void partsAreStacked() {
    assertThat(column(layer.stackedMatrix(QKV, 4, Cut.WHOLE), 0))
        .containsExactly(100f, 110f, 120f, 130f, 200f, 210f, 300f, 310f);
    assertThat(HostDevice.elements(layer.stackedVector(QKV_BIAS, Cut.WHOLE)))
        .isDeepEqualTo(new float[][] {{400, 401, 402, 403, 500, 501, 600, 601}});
  }

  @Test
  void aCutOfRowsTakesItsShareOfEachPart() {
    Matrix cut = layer.stackedMatrix(QKV, 4, Cut.rows(1, 2));

    assertThat(cut.rows()).isEqualTo(4);
    assertThat(column(cut, 3)).containsExactly(123f, 133f, 213f, 313f);
    assertThat(HostDevice.elements(layer.stackedVector(QKV_BIAS, Cut.rows(0, 2))))
        .isDeepEqualTo(new float[][] {{400, 401, 500, 600}});
  }

  @Test
  void aCutOfColumnsIsAStridedView() {
    Matrix cut = layer.matrix("k.weight", 2, 4, Cut.columns(1, 2));

    assertThat(rows(cut)).isDeepEqualTo(new float[][] {{202, 203}, {212, 213}});
    assertThat(cut.parts().getFirst().rowStride()).isEqualTo(4);
    assertThat(rows(layer.stackedMatrix(QKV, 4, Cut.columns(0, 4)))[7]).containsExactly(310f);
  }

  @Test
  void theCutsOfAllRanksAreTheWhole() {
    for (int size = 1; size <= 5; size++) {
      List<float[]> all = new ArrayList<>();
      for (int rank = 0; rank < size; rank++) {
        all.addAll(List.of(rows(layer.matrix("proj", 3, 5, Cut.rows(rank, size)))));
      }
      assertThat(all.toArray(float[][]::new)).isDeepEqualTo(rows(layer.matrix("proj", 3, 5)));
      int columns = 0;
      for (int rank = 0; rank < size; rank++) {
        Matrix cut = layer.matrix("proj", 3, 5, Cut.columns(rank, size));
        assertThat(cut.columns()).isBetween(5 / size, 5 / size + 1);
        if (cut.columns() > 0) {
          assertThat(rows(cut)[2][0]).isEqualTo(720f + columns);
        }
        columns += cut.columns();
      }
      assertThat(columns).isEqualTo(5);
    }
  }

  @Test
  void ranksOutsideTheirGroupAreABug() {
    assertThatThrownBy(() -> Cut.rows(2, 2)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Cut.columns(-1, 2)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void rangesOfRowsAreTheMatricesThatACheckpointStoresAsOne() {
    assertThat(rows(layer.matrixRows("q.weight", 4, 4, 2, 3)))
        .isDeepEqualTo(new float[][] {{120, 121, 122, 123}});
  }

  @Test
  void convolutionsAreFlattened() {
    assertThat(rows(layer.matrix("conv", Shape.of(2, 1, 2, 2)))[1])
        .containsExactly(810f, 811f, 812f, 813f);
  }

  @Test
  void tablesComeInTheActivationType() {
    assertThat(layer.table("proj", 3, 5).rows()).isEqualTo(3);
    assertThat(device.placedTypes).containsExactly(DType.F32);
  }

  @Test
  void matricesAreTransposed() {
    Matrix transposed = layer.transposed("proj", 3, 5);

    assertThat(transposed.rows()).isEqualTo(5);
    assertThat(rows(transposed)[4]).containsExactly(704f, 714f, 724f);
    assertThat(device.placedTypes).containsExactly(DType.BF16);
  }

  @Test
  void hostTensorsAreTheStoredOnes() {
    Tensor host = layer.host("conv", Shape.of(2, 1, 2, 2));

    assertThat(host.memory().address())
        .isEqualTo(source.get("model.layers.0.conv").memory().address());
    assertThat(device.placedTypes).isEmpty();
  }

  @Test
  void missingTensorsAreNamedWithTheirWholePath() {
    assertThatThrownBy(() -> layer.at("mlp").matrix("up_proj.weight", 7, 4))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "model.safetensors: tensor model.layers.0.mlp.up_proj.weight is missing;"
                + " expected shape [7, 4]");
    assertThatThrownBy(() -> layer.vector("q.scale", 7))
        .hasMessage(
            "model.safetensors: tensor model.layers.0.q.scale is missing; expected shape [7]");
  }

  @Test
  void tensorsOfAnotherShapeAreNamedWithBoth() {
    assertThatThrownBy(() -> layer.matrix("q.weight", 4, 5))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "model.safetensors: tensor model.layers.0.q.weight has shape [4, 4], expected [4, 5]");
    assertThatThrownBy(() -> layer.matrix("conv", 2, 4))
        .hasMessage(
            "model.safetensors: tensor model.layers.0.conv has shape [2, 1, 2, 2], expected [2, 4]");
    assertThatThrownBy(() -> layer.vector("q.weight", 16))
        .hasMessage(
            "model.safetensors: tensor model.layers.0.q.weight has shape [4, 4], expected [16]");
  }

  @Test
  void unusedTensorsAreNamed() {
    layer.stackedMatrix(QKV, 4, Cut.rows(0, 2));
    layer.at("q").vector("bias", 4);

    assertThatThrownBy(() -> layer.refuseUnused(name -> name.endsWith("conv")))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "model.safetensors: this model has no use for 3 of its tensors:"
                + " model.layers.0.k.bias, model.layers.0.proj, model.layers.0.v.bias");
    assertThatThrownBy(() -> layer.refuseUnused(name -> false))
        .hasMessage(
            "model.safetensors: this model has no use for 4 of its tensors:"
                + " model.layers.0.conv, model.layers.0.k.bias, model.layers.0.proj, …");
  }

  @Test
  void useOnOtherDevicesCounts() {
    HostDevice second = new HostDevice();
    DeviceMemory secondRegion = second.allocateRegion();
    layer.stackedMatrix(QKV, 4, Cut.WHOLE);
    Weights elsewhere = layer.on(second, secondRegion);
    elsewhere.stackedVector(QKV_BIAS, Cut.WHOLE);
    elsewhere.host("conv", Shape.of(2, 1, 2, 2));
    elsewhere.transposed("proj", 3, 5);

    assertThatCode(() -> layer.refuseUnused(name -> false)).doesNotThrowAnyException();
    assertThat(second.usedRegions).containsOnly(secondRegion);
  }

  @Test
  void progressCountsEachTensorOnceAndEndsAtTheTotal() {
    layer.matrix("q.weight", 4, 4, Cut.rows(0, 2));
    layer.matrix("q.weight", 4, 4, Cut.rows(1, 2));
    assertThat(progress).containsExactly(64L, 252L);

    layer.stackedMatrix(QKV, 4, Cut.WHOLE);
    layer.stackedVector(QKV_BIAS, Cut.WHOLE);
    layer.transposed("proj", 3, 5);
    layer.matrix("conv", Shape.of(2, 1, 2, 2));
    assertThat(progress).hasSize(16);
    assertThat(progress.subList(14, 16)).containsExactly(252L, 252L);
  }
}
