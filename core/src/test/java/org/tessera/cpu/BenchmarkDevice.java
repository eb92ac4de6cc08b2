package org.tessera.cpu;

import java.util.List;
import java.util.Random;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** A device on all cores and tensors of random content for benchmarks. */
public final class BenchmarkDevice implements AutoCloseable {
  private final CpuDevice device;
  private final DeviceMemory region;
  private final Random random = new Random(1);

  BenchmarkDevice() {
    device = new CpuDevice(Runtime.getRuntime().availableProcessors(), new VectorKernels());
    region = device.allocateRegion();
  }

  Ops ops() {
    return device.ops();
  }

  Tensor activations(int rows, int columns) {
    return filled(DType.F32, rows, columns);
  }

  Matrix weights(int rows, int columns) {
    return Matrix.stacked(List.of(filled(DType.BF16, rows, columns)));
  }

  private Tensor filled(DType dtype, int rows, int columns) {
    Tensor tensor = region.allocate(dtype, rows, columns);
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    device.upload(values, tensor);
    return tensor;
  }

  Tensor ints(int... values) {
    Tensor tensor = region.allocate(DType.I32, 1, values.length);
    device.upload(values, tensor);
    return tensor;
  }

  @Override
  public void close() {
    region.close();
    device.close();
  }

  /** Shown beside the result, by the nanosecond: GB/s and GFLOP/s. */
  @AuxCounters
  @State(Scope.Thread)
  public static class Work {
    /** Bytes read. */
    public long bytes;

    /** Floating-point operations, a multiplication and an addition being two. */
    public long operations;
  }
}
