package org.tessera.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.tessera.cpu.ScalarOps;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * What the conformance suites share: a device under test beside {@link ScalarOps}, inputs that both
 * see alike, and outputs between guards.
 */
public abstract class DeviceConformance {
  /** Sizes that fit no vector, no tile and no block. */
  protected static final int[] AWKWARD = {1, 13, 207, 4098};

  protected final Ops scalar = new ScalarOps();
  protected final Random random = new Random(20260101);
  private Arena host;
  protected Device device;
  protected DeviceMemory region;

  /** Opens the device under test. */
  protected abstract Device openDevice();

  /** Element types of weights that the device takes. */
  protected List<DType> weightTypes() {
    return List.of(DType.F32, DType.BF16, DType.F16);
  }

  /** Allowed normalised error of an operation that rounds about once an element. */
  protected double roundedTolerance() {
    return switch (device.activationType()) {
      case F32 -> 1e-6;
      case F16 -> 1e-3;
      case BF16 -> 8e-3;
      case I32 -> throw new IllegalStateException("activations of I32");
    };
  }

  /** Allowed normalised error of an operation that sums many products. */
  protected double summedTolerance() {
    return 3 * roundedTolerance();
  }

  @BeforeEach
  void open() {
    host = Arena.ofAuto();
    device = openDevice();
    region = device.allocateRegion();
  }

  @AfterEach
  void close() {
    region.close();
    closeDevice();
  }

  /** Closes the device under test, unless later tests use it too. */
  protected void closeDevice() {
    device.close();
  }

  /**
   * A tensor of activations twice: on the device amid NaNs that nothing may touch, and on the host.
   */
  protected final class Pair {
    private final int rows;
    private final int columns;
    private final int left;
    private final int right;
    private final Tensor parent;
    final Tensor onDevice;
    final Tensor onHost;

    private Pair(int rows, int columns, boolean strided, float[] values) {
      this.rows = rows;
      this.columns = columns;
      left = strided ? 8 : 0;
      right = strided ? 24 : 0;
      float[] all = new float[(rows + 2) * width()];
      Arrays.fill(all, Float.NaN);
      for (int r = 0; r < rows; r++) {
        System.arraycopy(values, r * columns, all, (r + 1) * width() + left, columns);
      }
      parent = region.allocate(device.activationType(), rows + 2, width());
      device.upload(all, parent);
      onDevice = parent.rows(1, rows + 1).columns(left, left + columns);
      onHost = hostTensor(DType.F32, rows, columns, columns, values);
    }

    private int width() {
      return left + columns + right;
    }

    /** That the device holds what the host holds, within a tolerance, and the guards are whole. */
    void check(String what, double tolerance) {
      check(what, tolerance, 0);
    }

    /**
     * @param typical size of an element when nothing cancels: an error is never measured by less
     */
    void check(String what, double tolerance, double typical) {
      float[] all = device.download(parent);
      double distance = 0;
      double norm = 0;
      for (int r = 0; r < rows + 2; r++) {
        for (int c = 0; c < width(); c++) {
          float value = all[r * width() + c];
          boolean inside = r > 0 && r <= rows && c >= left && c < left + columns;
          if (!inside) {
            assertThat(value).as("%s: guard at %d, %d", what, r - 1, c - left).isNaN();
          } else {
            double expected = element(onHost, r - 1, c - left);
            assertThat(value).as("%s: element %d, %d", what, r - 1, c - left).isFinite();
            distance += (value - expected) * (value - expected);
            norm += expected * expected;
          }
        }
      }
      double error =
          distance == 0
              ? 0
              : Math.sqrt(distance / Math.max(norm, typical * typical * rows * columns));
      assertThat(error).as("%s: normalised error", what).isLessThanOrEqualTo(tolerance);
    }
  }

  /** Random activations, in a wider tensor if {@code strided}. */
  protected final Pair activations(int rows, int columns, boolean strided) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = round((float) random.nextGaussian(), device.activationType());
    }
    return new Pair(rows, columns, strided, values);
  }

  /** An output, poisoned: NaN. */
  protected final Pair output(int rows, int columns, boolean strided) {
    float[] values = new float[rows * columns];
    Arrays.fill(values, Float.NaN);
    return new Pair(rows, columns, strided, values);
  }

  /** A small vector twice, as the device's operations take it. */
  protected record Vectors(Tensor onDevice, Tensor onHost) {}

  protected final Vectors vector(int columns) {
    Tensor onHost = weights(DType.BF16, 1, columns, false);
    float[] values = new float[columns];
    for (int c = 0; c < columns; c++) {
      values[c] = element(onHost, 0, c);
    }
    return new Vectors(
        device.placeVector(List.of(onHost), region),
        hostTensor(DType.F32, 1, columns, columns, values));
  }

  /** A weight matrix twice. */
  protected record Matrices(Matrix onDevice, Matrix onHost) {}

  /**
   * Weights in as many parts as there are row counts, each with rows apart if {@code strided}.
   *
   * @param dtype where the device does not take it, one that it does
   */
  protected final Matrices matrix(DType dtype, int columns, boolean strided, int... partRows) {
    DType taken = weightTypes().contains(dtype) ? dtype : weightTypes().getFirst();
    List<Tensor> parts = new ArrayList<>();
    for (int rows : partRows) {
      parts.add(weights(taken, rows, columns, strided));
    }
    return new Matrices(device.place(parts, taken, region), Matrix.stacked(parts));
  }

  /** Random weights on the host that begin at an odd address, as in a mapped checkpoint. */
  protected final Tensor weights(DType dtype, int rows, int columns, boolean strided) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() / 4;
    }
    return hostTensor(dtype, rows, columns, columns + (strided ? 7 : 0), values);
  }

  protected final Tensor hostTensor(
      DType dtype, int rows, int columns, int stride, float[] values) {
    long bytes = (long) rows * stride * dtype.bytes();
    MemorySegment memory = host.allocate(bytes + 1, 64).asSlice(1, bytes);
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        long at = ((long) r * stride + c) * dtype.bytes();
        float value = values[r * columns + c];
        switch (dtype) {
          case F32 -> memory.set(JAVA_FLOAT_UNALIGNED, at, value);
          case BF16 -> memory.set(JAVA_SHORT_UNALIGNED, at, toBf16(value));
          case F16 -> memory.set(JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(value));
          case I32 -> throw new IllegalArgumentException("floats in a tensor of I32");
        }
      }
    }
    return new Tensor(dtype, rows, columns, stride, memory);
  }

  private static float element(Tensor tensor, int row, int column) {
    long at = (row * tensor.rowStride() + column) * tensor.dtype().bytes();
    return switch (tensor.dtype()) {
      case F32 -> tensor.memory().get(JAVA_FLOAT_UNALIGNED, at);
      case BF16 -> Float.intBitsToFloat(tensor.memory().get(JAVA_SHORT_UNALIGNED, at) << 16);
      case F16 -> Float.float16ToFloat(tensor.memory().get(JAVA_SHORT_UNALIGNED, at));
      case I32 -> throw new IllegalArgumentException("floats from a tensor of I32");
    };
  }

  /** Ints twice. */
  protected record Ints(Tensor onDevice, Tensor onHost) {}

  protected final Ints ints(int... values) {
    return ints(1, values.length, values);
  }

  protected final Ints ints(int rows, int columns, int[] values) {
    Tensor onDevice = region.allocate(DType.I32, rows, columns);
    device.upload(values, onDevice);
    MemorySegment memory = host.allocate(Math.max(4, 4L * values.length), 64);
    MemorySegment.copy(values, 0, memory, JAVA_INT_UNALIGNED, 0, values.length);
    return new Ints(onDevice, new Tensor(DType.I32, rows, columns, columns, memory));
  }

  /** {@code count} different numbers below {@code limit}, or as they come where they repeat. */
  protected final int[] numbers(int count, int limit, boolean different) {
    return different
        ? random.ints(0, limit).distinct().limit(count).toArray()
        : random.ints(count, 0, limit).toArray();
  }

  private static float round(float value, DType dtype) {
    return switch (dtype) {
      case F32 -> value;
      case BF16 -> Float.intBitsToFloat(toBf16(value) << 16);
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
      case I32 -> throw new IllegalArgumentException("activations of I32");
    };
  }

  /** Nearest, ties to even; for finite numbers. */
  private static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int tie = (bits >>> 16) & 1;
    return Float.isNaN(value) ? 0x7fc0 : (short) ((bits + 0x7fff + tie) >>> 16);
  }
}
