package org.tessera.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** Every operation but attention against {@link org.tessera.cpu.ScalarOps}. */
public abstract class OpsConformance extends DeviceConformance {
  private void checkLinear(
      int rows, int columns, DType dtype, boolean bias, boolean strided, int... partRows) {
    int outputs = Arrays.stream(partRows).sum();
    Pair x = activations(rows, columns, strided);
    Matrices w = matrix(dtype, columns, strided, partRows);
    Vectors b = bias ? vector(outputs) : new Vectors(null, null);
    String what =
        "%d x %d by %s %s%s"
            .formatted(rows, columns, dtype, Arrays.toString(partRows), strided ? " strided" : "");
    double typical = Math.sqrt(columns) / 4;
    for (Activation activation : Activation.values()) {
      Pair out = output(rows, outputs, strided);
      device.ops().linear(x.onDevice, w.onDevice(), b.onDevice(), activation, out.onDevice);
      scalar.linear(x.onHost, w.onHost(), b.onHost(), activation, out.onHost);
      out.check("linear " + activation + " " + what, summedTolerance(), typical);
    }
    Pair inOut = activations(rows, outputs, strided);
    device.ops().linearAdd(x.onDevice, w.onDevice(), b.onDevice(), inOut.onDevice);
    scalar.linearAdd(x.onHost, w.onHost(), b.onHost(), inOut.onHost);
    inOut.check("linearAdd " + what, summedTolerance(), typical);
  }

  @Test
  void linearWithFewRows() {
    for (DType dtype : weightTypes()) {
      for (int rows = 1; rows <= 9; rows++) {
        checkLinear(rows, 207, dtype, rows % 2 == 0, false, 13);
        checkLinear(rows, 64, dtype, true, true, 5, 1, 30);
      }
    }
  }

  @Test
  void linearWithManyRows() {
    for (DType dtype : weightTypes()) {
      for (int rows : new int[] {13, 16, 17, 32, 33, 64, 207}) {
        checkLinear(rows, 207, dtype, rows % 2 == 0, rows % 3 == 0, 60);
        checkLinear(rows, 100, dtype, true, rows % 3 == 1, 13, 1, 49);
      }
    }
  }

  @Test
  void linearOfAwkwardSizes() {
    for (int rows : AWKWARD) {
      for (int columns : AWKWARD) {
        for (int outputs : AWKWARD) {
          if ((long) rows * columns * outputs <= 12_000_000L) {
            checkLinear(rows, columns, DType.BF16, true, columns == 13, outputs);
          }
        }
      }
    }
  }

  @Test
  void linearOfTheSizesOfRealModels() {
    checkLinear(1, 896, DType.BF16, true, false, 896, 128, 128);
    checkLinear(1, 4864, DType.BF16, false, false, 896);
    checkLinear(1, 18944, DType.BF16, false, false, 97);
    checkLinear(6, 18944, DType.BF16, false, false, 30);
    checkLinear(300, 18944, DType.BF16, false, false, 2);
    checkLinear(70, 588, DType.BF16, true, false, 1152);
    checkLinear(20, 1152, DType.F16, true, false, 1152);
  }

  @Test
  void linearOfF16WithSubnormalsAndLargest() {
    assumeTrue(weightTypes().contains(DType.F16), "the device takes no weights in F16");
    float[] values = new float[64 * 64];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (i % 4) {
            case 0 -> 0x1p-24f * (i % 977);
            case 1 -> -0x1p-15f;
            case 2 -> 65504f * 0x1p-12f;
            default -> -0f;
          };
    }
    Tensor weights = hostTensor(DType.F16, 64, 64, 64, values);
    Matrices w =
        new Matrices(
            device.place(List.of(weights), DType.F16, region), Matrix.stacked(List.of(weights)));
    for (int rows : new int[] {1, 40}) {
      Pair x = activations(rows, 64, false);
      Pair out = output(rows, 64, false);
      device.ops().linear(x.onDevice, w.onDevice(), null, Activation.NONE, out.onDevice);
      scalar.linear(x.onHost, w.onHost(), null, Activation.NONE, out.onHost);
      out.check("linear of extreme F16", summedTolerance());
    }
  }

  @Test
  void placeConvertsWeights() {
    for (DType from : new DType[] {DType.F32, DType.BF16, DType.F16}) {
      for (DType to : weightTypes()) {
        Tensor source = weights(from, 31, 45, true);
        Matrices w =
            new Matrices(
                device.place(List.of(source), to, region), Matrix.stacked(List.of(source)));
        Pair x = activations(3, 45, false);
        Pair out = output(3, 31, false);
        device.ops().linear(x.onDevice, w.onDevice(), null, Activation.NONE, out.onDevice);
        scalar.linear(x.onHost, w.onHost(), null, Activation.NONE, out.onHost);
        double narrowing = to == DType.BF16 ? 4e-3 : to == DType.F16 ? 5e-4 : 0;
        out.check("linear after %s to %s".formatted(from, to), summedTolerance() + narrowing);
      }
    }
  }

  /** The sizes of steps of decoding, of whose products the fastest algorithm is sought. */
  @Test
  void linearOfStepsOfDecoding() {
    for (int rows : new int[] {16, 32, 64, 128}) {
      checkLinear(rows, 896, DType.BF16, true, false, 264);
    }
    checkLinear(16, 9472, DType.BF16, false, false, 64);
  }

  /** Rows of a length that no vector divides, which begin where vectors may. */
  @Test
  void linearOfAlignedRows() {
    for (int rows : new int[] {1, 8, 9, 130}) {
      Pair x = activations(rows, 592, false);
      Matrices w = matrix(DType.BF16, 588, false, 136);
      Vectors bias = vector(136);
      Pair out = output(rows, 136, false);
      device
          .ops()
          .linear(
              x.onDevice.columns(0, 588),
              w.onDevice(),
              bias.onDevice(),
              Activation.NONE,
              out.onDevice);
      scalar.linear(
          x.onHost.columns(0, 588), w.onHost(), bias.onHost(), Activation.NONE, out.onHost);
      out.check("linear of aligned rows of 588, " + rows, summedTolerance());
    }
  }

  @Test
  void patches() {
    // Multiples of an eighth, exact in every type.
    float[] values = new float[3 * 256];
    for (int i = 0; i < values.length; i++) {
      values[i] = (i * 7 % 255 - 127) / 8f;
    }
    Tensor onDevice = region.allocate(DType.F32, 3, 256);
    device.upload(values, onDevice);
    Tensor onHost = hostTensor(DType.F32, 3, 256, 256, values);
    for (int side : new int[] {1, 5, 14}) {
      // A picture with pixels to spare on the right and below, a strip, one patch.
      List<Pixels> pictures =
          List.of(
              pixels(3 * side + side / 2, 2 * side + 1, 2, 3),
              pixels(40 * side, side, 1, 40),
              pixels(side, side, 1, 1));
      for (boolean strided : new boolean[] {false, true}) {
        Pair out = output(47, 3 * side * side, strided);
        device.ops().patches(pictures, side, onDevice, out.onDevice);
        scalar.patches(pictures, side, onHost, out.onHost);
        out.check("patches of " + side, 0);
      }
    }
    Tensor one = output(1, 3, false).onDevice;
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            device.ops().patches(List.of(new Pixels(new byte[2], 1, 1, 1)), 1, onDevice, one));
  }

  private Pixels pixels(int width, int height, int patchRows, int patchColumns) {
    byte[] bytes = new byte[3 * width * height];
    random.nextBytes(bytes);
    return new Pixels(bytes, width, patchRows, patchColumns);
  }

  @Test
  void embed() {
    for (DType dtype : weightTypes()) {
      for (int columns : AWKWARD) {
        Matrices table = matrix(dtype, columns, columns == 13, 7, 90);
        Ints ids = ints(numbers(29, 97, false));
        Pair out = output(29, columns, true);
        device.ops().embed(ids.onDevice(), table.onDevice(), out.onDevice);
        scalar.embed(ids.onHost(), table.onHost(), out.onHost);
        out.check("embed " + dtype, roundedTolerance());
      }
    }
  }

  @Test
  void addRows() {
    for (DType dtype : weightTypes()) {
      for (int columns : AWKWARD) {
        Matrices table = matrix(dtype, columns, false, 50);
        Ints ids = ints(numbers(33, 50, false));
        Pair inOut = activations(33, columns, columns == 207);
        Tensor onDevice = table.onDevice().parts().getFirst();
        device.ops().addRows(ids.onDevice(), onDevice, inOut.onDevice);
        scalar.addRows(ids.onHost(), table.onHost().parts().getFirst(), inOut.onHost);
        inOut.check("addRows " + dtype, roundedTolerance());
      }
    }
  }

  @Test
  void rowsAreMovedUnchanged() {
    for (int columns : AWKWARD) {
      Pair x = activations(40, columns, true);
      Ints ids = ints(numbers(60, 40, false));
      Pair gathered = output(60, columns, false);
      device.ops().gatherRows(x.onDevice, ids.onDevice(), gathered.onDevice);
      scalar.gatherRows(x.onHost, ids.onHost(), gathered.onHost);
      gathered.check("gatherRows", 0);

      Ints places = ints(numbers(40, 70, true));
      Pair scattered = activations(70, columns, true);
      device.ops().scatterRows(x.onDevice, places.onDevice(), scattered.onDevice);
      scalar.scatterRows(x.onHost, places.onHost(), scattered.onHost);
      scattered.check("scatterRows", 0);

      Pair copied = output(40, columns, false);
      device.ops().copy(x.onDevice, copied.onDevice);
      scalar.copy(x.onHost, copied.onHost);
      copied.check("copy", 0);
    }
  }

  @Test
  void add() {
    for (int rows : AWKWARD) {
      for (int columns : new int[] {1, 13, 207}) {
        Pair x = activations(rows, columns, true);
        Pair inOut = activations(rows, columns, rows == 13);
        device.ops().add(x.onDevice, inOut.onDevice);
        scalar.add(x.onHost, inOut.onHost);
        inOut.check("add", roundedTolerance());
      }
    }
  }

  @Test
  void norms() {
    for (int rows : new int[] {1, 13, 207}) {
      // Those that are multiples of 8 are read in vectors, of which a thread holds up to five.
      for (int columns : new int[] {1, 13, 207, 896, 1152, 1288, 3584, 4098, 4608, 8200}) {
        Pair x = activations(rows, columns, rows == 13);
        Vectors weight = vector(columns);
        Vectors bias = vector(columns);
        Pair rms = output(rows, columns, rows == 13);
        device.ops().rmsNorm(x.onDevice, weight.onDevice(), 1e-6f, rms.onDevice);
        scalar.rmsNorm(x.onHost, weight.onHost(), 1e-6f, rms.onHost);
        rms.check("rmsNorm %d x %d".formatted(rows, columns), roundedTolerance());

        Pair layer = output(rows, columns, rows == 13);
        Tensor w = weight.onDevice();
        device.ops().layerNorm(x.onDevice, w, bias.onDevice(), 1e-6f, layer.onDevice);
        scalar.layerNorm(x.onHost, weight.onHost(), bias.onHost(), 1e-6f, layer.onHost);
        layer.check("layerNorm %d x %d".formatted(rows, columns), roundedTolerance());
      }
    }
  }

  @Test
  void rope() {
    for (int headWidth : new int[] {2, 26, 36, 64, 72, 128}) {
      for (int rows : new int[] {1, 13, 207}) {
        Pair inOut = activations(rows, 3 * headWidth, rows == 13);
        Ints positions = ints(numbers(rows, rows == 1 ? 33_000 : 700, false));
        for (double theta : new double[] {10_000, 1e6}) {
          device.ops().rope(inOut.onDevice, positions.onDevice(), headWidth, theta);
          scalar.rope(inOut.onHost, positions.onHost(), headWidth, theta);
        }
        inOut.check("rope %d x 3 x %d".formatted(rows, headWidth), 2 * roundedTolerance());
      }
    }
  }

  @Test
  void siluMul() {
    for (int rows : new int[] {1, 13, 207}) {
      for (int columns : AWKWARD) {
        Pair gateUp = activations(rows, 2 * columns, rows == 13);
        Pair out = output(rows, columns, rows == 13);
        device.ops().siluMul(gateUp.onDevice, out.onDevice);
        scalar.siluMul(gateUp.onHost, out.onHost);
        out.check("siluMul %d x %d".formatted(rows, columns), roundedTolerance());
      }
    }
  }

  @Test
  void normsBeforeLinears() {
    for (DType dtype : weightTypes()) {
      for (int rows : new int[] {1, 2, 7, 9, 16, 17, 65}) {
        for (int columns : new int[] {13, 256, 3584}) {
          checkNormLinear(dtype, rows, columns, columns == 13 ? 10 : 96);
        }
      }
    }
  }

  private void checkNormLinear(DType dtype, int rows, int columns, int outputs) {
    String what = "%d x %d by %s".formatted(rows, columns, dtype);
    double typical = Math.sqrt(columns) / 16;
    Pair x = activations(rows, columns, rows == 7);
    Vectors norm = vector(columns);
    Matrices w = matrix(dtype, columns, false, outputs, outputs);
    RmsNorm onDevice = new RmsNorm(norm.onDevice(), 1e-6f);
    RmsNorm onHost = new RmsNorm(norm.onHost(), 1e-6f);
    Pair scratch = output(rows, columns, false);
    Pair products = output(rows, 2 * outputs, rows == 2);
    Ops ops = device.ops();
    ops.normLinear(x.onDevice, onDevice, w.onDevice(), scratch.onDevice, products.onDevice);
    scalar.normLinear(x.onHost, onHost, w.onHost(), scratch.onHost, products.onHost);
    products.check("normLinear " + what, summedTolerance(), typical);

    Pair gateUp = output(rows, 2 * outputs, false);
    Pair out = output(rows, outputs, rows == 9);
    ops.normSiluMul(
        x.onDevice, onDevice, w.onDevice(), scratch.onDevice, gateUp.onDevice, out.onDevice);
    scalar.normSiluMul(x.onHost, onHost, w.onHost(), scratch.onHost, gateUp.onHost, out.onHost);
    out.check("normSiluMul " + what, 2 * summedTolerance(), typical * typical / 2);
  }

  @Test
  void argmax() {
    for (int columns : new int[] {1, 13, 207, 4098, 151_666}) {
      float[] values = new float[7 * columns];
      for (int i = 0; i < values.length; i++) {
        values[i] = random.nextInt(1000) - 500; // many are equal
      }
      Arrays.fill(values, 4 * columns, 5 * columns, Float.NEGATIVE_INFINITY);
      values[6 * columns - 1] = Float.NaN;
      values[6 * columns] = Float.POSITIVE_INFINITY;
      Tensor onDevice = region.allocate(DType.F32, 7, columns);
      device.upload(values, onDevice);
      Ints ids = ints(new int[7]);
      device.ops().argmax(onDevice, ids.onDevice());
      scalar.argmax(hostTensor(DType.F32, 7, columns, columns, values), ids.onHost());
      int[] actual = new int[7];
      device.download(ids.onDevice(), actual);
      int[] expected = new int[7];
      MemorySegment.copy(ids.onHost().memory(), ValueLayout.JAVA_INT, 0, expected, 0, 7);
      assertThat(actual).as("argmax of %d", columns).isEqualTo(expected);
      assertThat(actual[4]).isEqualTo(Ops.NO_TOKEN);
      assertThat(actual[5]).isEqualTo(Ops.NOT_FINITE);
      assertThat(actual[6]).isEqualTo(Ops.NOT_FINITE);
      int largest = actual[0];
      for (int c = 0; c < columns; c++) {
        assertThat(values[c]).isLessThanOrEqualTo(values[largest]);
      }
    }
  }

  @Test
  void nothingHappensToNoRows() {
    Pair x = activations(0, 13, false);
    Pair out = output(0, 5, false);
    Matrices w = matrix(DType.BF16, 13, false, 5);
    device.ops().linear(x.onDevice, w.onDevice(), null, Activation.NONE, out.onDevice);
    device.ops().add(x.onDevice, x.onDevice);
    out.check("linear of no rows", 0);
  }

  @Test
  void shapesThatDoNotFitAreRefused() {
    Pair x = activations(3, 13, false);
    Pair out = output(3, 6, false);
    Matrices w = matrix(DType.BF16, 13, false, 5);
    Ops ops = device.ops();
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> ops.linear(x.onDevice, w.onDevice(), null, Activation.NONE, out.onDevice));
    assertThatIllegalArgumentException().isThrownBy(() -> ops.copy(x.onDevice, out.onDevice));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> ops.rmsNorm(x.onDevice, vector(12).onDevice(), 1e-6f, x.onDevice));
  }
}
