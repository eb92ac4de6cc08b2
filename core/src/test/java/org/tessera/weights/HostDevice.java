package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * A device that keeps weights as they are in host memory and vectors as floats, and remembers what
 * it was asked for.
 */
final class HostDevice implements Device {
  final List<DType> placedTypes = new ArrayList<>();
  final List<DeviceMemory> usedRegions = new ArrayList<>();

  @Override
  public DeviceInfo info() {
    return new DeviceInfo("host", "host", 0, 0);
  }

  @Override
  public Ops ops() {
    throw new UnsupportedOperationException();
  }

  @Override
  public DType activationType() {
    return DType.F32;
  }

  @Override
  public double measureReadBandwidth() {
    throw new UnsupportedOperationException();
  }

  @Override
  public DeviceMemory allocateRegion() {
    return new Region();
  }

  @Override
  public Matrix place(List<Tensor> hostParts, DType dtype, DeviceMemory region) {
    placedTypes.add(dtype);
    usedRegions.add(region);
    return Matrix.stacked(hostParts);
  }

  @Override
  public Tensor placeVector(List<Tensor> hostParts, DeviceMemory region) {
    usedRegions.add(region);
    int length = hostParts.stream().mapToInt(Tensor::columns).sum();
    Tensor vector = region.allocate(DType.F32, 1, length);
    int position = 0;
    for (Tensor part : hostParts) {
      for (int i = 0; i < part.columns(); i++) {
        vector.memory().setAtIndex(JAVA_FLOAT_UNALIGNED, position++, element(part, 0, i));
      }
    }
    return vector;
  }

  /** An element of any floating-point tensor on the host. */
  static float element(Tensor tensor, int row, int column) {
    long index = row * tensor.rowStride() + column;
    return switch (tensor.dtype()) {
      case F32 -> tensor.memory().getAtIndex(JAVA_FLOAT_UNALIGNED, index);
      case F16 -> Float.float16ToFloat(tensor.memory().getAtIndex(JAVA_SHORT_UNALIGNED, index));
      case BF16 ->
          Float.intBitsToFloat(tensor.memory().getAtIndex(JAVA_SHORT_UNALIGNED, index) << 16);
      case I32 -> throw new IllegalArgumentException("not a float");
    };
  }

  /** All elements by rows. */
  static float[][] elements(Tensor tensor) {
    float[][] elements = new float[tensor.rows()][tensor.columns()];
    for (int row = 0; row < tensor.rows(); row++) {
      for (int column = 0; column < tensor.columns(); column++) {
        elements[row][column] = element(tensor, row, column);
      }
    }
    return elements;
  }

  @Override
  public void upload(float[] source, Tensor destination) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void upload(int[] source, Tensor destination) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void download(Tensor source, int[] destination) {
    throw new UnsupportedOperationException("the weights are not downloaded");
  }

  @Override
  public float[] download(Tensor source) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}

  private static final class Region implements DeviceMemory {
    private final Arena arena = Arena.ofAuto();

    @Override
    public Tensor allocate(DType dtype, int rows, int columns) {
      return Tensor.of(dtype, rows, columns, arena.allocate((long) rows * columns * dtype.bytes()));
    }

    @Override
    public long allocatedBytes() {
      return 0;
    }

    @Override
    public void close() {}
  }
}
