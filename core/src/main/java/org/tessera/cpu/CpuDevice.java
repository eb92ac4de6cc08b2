package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** The processor: activations are F32, weights stay where they are mapped. */
final class CpuDevice implements Device {
  private final Workers workers;
  private final Ops ops;
  private final Set<CpuMemory> regions = ConcurrentHashMap.newKeySet();

  CpuDevice(int threads, Kernels kernels) {
    workers = new Workers(threads);
    ops = new CpuOps(workers, kernels);
  }

  @Override
  public DeviceInfo info() {
    return CpuBackend.info();
  }

  @Override
  public Ops ops() {
    return ops;
  }

  @Override
  public DType activationType() {
    return DType.F32;
  }

  @Override
  public double measureReadBandwidth() {
    return MemoryBandwidth.measure(workers);
  }

  @Override
  public int computeBoundRows() {
    return 32;
  }

  @Override
  public DeviceMemory allocateRegion() {
    CpuMemory[] self = new CpuMemory[1];
    CpuMemory region = new CpuMemory(() -> regions.remove(self[0]));
    self[0] = region;
    regions.add(region);
    return region;
  }

  @Override
  public Matrix place(List<Tensor> hostParts, DType dtype, DeviceMemory region) {
    Arguments.require(dtype != DType.I32, "weights are floats, not I32");
    List<Tensor> parts = new ArrayList<>();
    for (Tensor part : hostParts) {
      parts.add(part.dtype() == dtype ? part : converted(part, dtype, region));
    }
    return Matrix.stacked(parts);
  }

  private Tensor converted(Tensor part, DType dtype, DeviceMemory region) {
    Tensor out = region.allocate(dtype, part.rows(), part.columns());
    workers.rows(
        part.rows(),
        8L * part.rows() * part.columns(),
        (from, to) -> copyElements(part.rows(from, to), out.rows(from, to)));
    return out;
  }

  private static void copyElements(Tensor from, Tensor to) {
    for (int row = 0; row < from.rows(); row++) {
      for (int column = 0; column < from.columns(); column++) {
        Elements.set(to, row, column, Elements.get(from, row, column));
      }
    }
  }

  @Override
  public Tensor placeVector(List<Tensor> hostParts, DeviceMemory region) {
    int columns = hostParts.stream().mapToInt(part -> part.rows() * part.columns()).sum();
    Tensor out = region.allocate(DType.F32, 1, columns);
    int column = 0;
    for (Tensor part : hostParts) {
      for (int row = 0; row < part.rows(); row++) {
        int end = column + part.columns();
        copyElements(part.rows(row, row + 1), out.columns(column, end));
        column = end;
      }
    }
    return out;
  }

  @Override
  public void upload(float[] source, Tensor destination) {
    checkTransfer(source.length, destination);
    if (destination.dtype() == DType.F32) {
      MemorySegment.copy(source, 0, destination.memory(), JAVA_FLOAT_UNALIGNED, 0, source.length);
      return;
    }
    for (int i = 0; i < source.length; i++) {
      int columns = destination.columns();
      Elements.set(destination, i / columns, i % columns, source[i]);
    }
  }

  @Override
  public void upload(int[] source, Tensor destination) {
    checkTransfer(source.length, destination);
    Arguments.require(
        destination.dtype() == DType.I32, "ints for a tensor of %s", destination.dtype());
    MemorySegment.copy(source, 0, destination.memory(), JAVA_INT_UNALIGNED, 0, source.length);
  }

  @Override
  public float[] download(Tensor source) {
    float[] floats = new float[Math.multiplyExact(source.rows(), source.columns())];
    checkTransfer(floats.length, source);
    if (source.dtype() == DType.F32) {
      MemorySegment.copy(source.memory(), JAVA_FLOAT_UNALIGNED, 0, floats, 0, floats.length);
      return floats;
    }
    for (int i = 0; i < floats.length; i++) {
      floats[i] = Elements.get(source, i / source.columns(), i % source.columns());
    }
    return floats;
  }

  @Override
  public void download(Tensor source, int[] destination) {
    checkTransfer(destination.length, source);
    Arguments.require(source.dtype() == DType.I32, "ints from a tensor of %s", source.dtype());
    MemorySegment.copy(source.memory(), JAVA_INT_UNALIGNED, 0, destination, 0, destination.length);
  }

  private static void checkTransfer(int elements, Tensor tensor) {
    Arguments.require(tensor.isContiguous(), "a strided tensor cannot be transferred");
    Arguments.require(
        elements == (long) tensor.rows() * tensor.columns(),
        "%d elements for a tensor of %d x %d",
        elements,
        tensor.rows(),
        tensor.columns());
  }

  @Override
  public void close() {
    workers.close();
    List.copyOf(regions).forEach(CpuMemory::close);
  }
}
