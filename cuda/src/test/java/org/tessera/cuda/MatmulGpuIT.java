package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.cuda.Matmul.Epilogue;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Products by cuBLASLt against sums in double precision. */
class MatmulGpuIT {
  private static final long WORKSPACE_BYTES = 32L << 20;

  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  /**
   * Rows of x, rows of w, columns, by which the rows of each are longer than their columns: what
   * {@link CudaLinear} leaves to cuBLASLt has rows that begin at multiples of 16 bytes.
   */
  static Stream<Arguments> sizes() {
    List<int[]> sizes =
        List.of(
            new int[] {17, 8, 8, 0},
            new int[] {33, 60, 207, 1},
            new int[] {207, 13, 100, 4},
            new int[] {641, 1152, 588, 4},
            new int[] {691, 4304, 1152, 0},
            new int[] {64, 64, 18944, 0},
            new int[] {1, 3584, 3584, 8});
    return sizes.stream()
        .flatMap(size ->
            Stream.of(DType.BF16, DType.F16)
                .map(type -> Arguments.of(type, size[0], size[1], size[2], size[3])));
  }

  @ParameterizedTest
  @MethodSource("sizes")
  void productsAreRight(DType type, int n, int rows, int columns, int padding) {
    CudaDevice device = GPU.device();
    Random random = new Random(20260101);
    try (DeviceRegion region = new DeviceRegion(device.context());
        Matmul matmul =
            new Matmul(device.context(), device.blas(), region.allocate(WORKSPACE_BYTES))) {
      int outPadding = Math.floorMod(-rows, 8);
      Operand x = operand(device, region, type, random, n, columns, padding);
      Operand w = operand(device, region, type, random, rows, columns, padding);
      Operand bias = operand(device, region, type, random, 1, rows, 0);
      int[] checked = someRows(n);
      double[] products = products(x, w, checked);
      for (Epilogue epilogue : Epilogue.values()) {
        for (Operand added : Arrays.asList(null, bias)) {
          for (boolean add : new boolean[] {false, true}) {
            if (add && epilogue == Epilogue.GELU_TANH) {
              continue;
            }
            Operand out = operand(device, region, type, random, n, rows, outPadding);
            matmul.multiply(
                device.stream(),
                x.tensor,
                w.tensor,
                added == null ? null : added.tensor,
                epilogue,
                add,
                out.tensor);
            check(device, products, added, epilogue, add, out, checked);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("sizes")
  void productsInF32AreRight(DType type, int n, int rows, int columns, int padding) {
    CudaDevice device = GPU.device();
    Random random = new Random(7);
    try (DeviceRegion region = new DeviceRegion(device.context());
        Matmul matmul =
            new Matmul(device.context(), device.blas(), region.allocate(WORKSPACE_BYTES))) {
      Operand x = operand(device, region, type, random, n, columns, padding);
      Operand w = operand(device, region, type, random, rows, columns, padding);
      Operand out = operand(device, region, DType.F32, random, n, rows, Math.floorMod(-rows, 4));
      int[] checked = someRows(n);
      matmul.multiply(device.stream(), x.tensor, w.tensor, null, Epilogue.NONE, false, out.tensor);
      check(device, products(x, w, checked), null, Epilogue.NONE, false, out, checked);
    }
  }

  /**
   * A matrix on the device within a wider one, and what it held first.
   *
   * @param values of the wider one
   */
  private record Operand(Tensor wide, Tensor tensor, float[] values) {
    double at(int row, int column) {
      return values[row * wide.columns() + column];
    }
  }

  private static Operand operand(
      CudaDevice device,
      DeviceRegion region,
      DType type,
      Random random,
      int rows,
      int columns,
      int padding) {
    Tensor wide = region.allocate(type, rows, columns + padding);
    float[] values = new float[rows * (columns + padding)];
    for (int i = 0; i < values.length; i++) {
      // The padding is read by nothing: a NaN there would spread.
      values[i] = i % (columns + padding) < columns ? (float) random.nextGaussian() / 2 : Float.NaN;
    }
    device.upload(values, wide);
    // As rounded to the type.
    return new Operand(wide, wide.columns(0, columns), device.download(wide));
  }

  /** The first, the last and some between, so that the sums on the host do not take long. */
  private static int[] someRows(int n) {
    return IntStream.of(0, n / 3, n / 2, n - 2, n - 1).filter(row -> row >= 0).distinct().toArray();
  }

  private static double[] products(Operand x, Operand w, int[] checked) {
    int rows = w.tensor.rows();
    double[] products = new double[checked.length * rows];
    for (int i = 0; i < checked.length; i++) {
      for (int r = 0; r < rows; r++) {
        double sum = 0;
        for (int c = 0; c < w.tensor.columns(); c++) {
          sum += x.at(checked[i], c) * w.at(r, c);
        }
        products[i * rows + r] = sum;
      }
    }
    return products;
  }

  private static void check(
      CudaDevice device,
      double[] products,
      @Nullable Operand bias,
      Epilogue epilogue,
      boolean add,
      Operand out,
      int[] checked) {
    int rows = out.tensor.columns();
    float[] back = device.download(out.wide);
    double distance = 0;
    double norm = 0;
    for (int i = 0; i < checked.length; i++) {
      for (int r = 0; r < rows; r++) {
        double expected = products[i * rows + r] + (bias == null ? 0 : bias.at(0, r));
        if (epilogue == Epilogue.GELU_TANH) {
          expected = gelu(expected);
        }
        if (add) {
          expected += out.at(checked[i], r);
        }
        double value = back[checked[i] * out.wide.columns() + r];
        assertThat(value).as("row %d, column %d", checked[i], r).isFinite();
        distance += (value - expected) * (value - expected);
        norm += expected * expected;
      }
    }
    for (int i = 0; i < back.length; i++) {
      if (i % out.wide.columns() >= rows) {
        assertThat(back[i]).as("element %d beside the output", i).isNaN();
      }
    }
    double tolerance =
        switch (out.tensor.dtype()) {
          case F32 -> 1e-5;
          case F16 -> 1e-3;
          default -> 8e-3;
        };
    assertThat(Math.sqrt(distance / norm))
        .as("normalised error of %s, bias %s, add %s", epilogue, bias != null, add)
        .isLessThan(tolerance);
  }

  private static double gelu(double x) {
    return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
  }
}
