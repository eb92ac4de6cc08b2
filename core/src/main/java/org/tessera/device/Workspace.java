package org.tessera.device;

import java.util.ArrayList;
import java.util.List;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Memory for the intermediates of a forward pass, taken and given back like a stack. Slabs stay
 * allocated, so that a pass that ran once runs again without allocating. Not for several threads.
 */
public final class Workspace implements AutoCloseable {
  private static final long ALIGNMENT_BYTES = 256;
  private static final long MIN_SLAB_BYTES = 8L << 20;

  private final Device device;
  private final List<Slab> slabs = new ArrayList<>();
  private int currentSlab;

  public Workspace(Device device) {
    this.device = device;
  }

  /** The device whose memory this is. */
  public Device device() {
    return device;
  }

  /** Starts a scope: what is allocated until it is closed is given back then. */
  public Scope open() {
    return new Scope(currentSlab, slabs.isEmpty() ? 0 : slabs.get(currentSlab).usedBytes);
  }

  /** A contiguous tensor of the device's activation type; its content is undefined. */
  public Tensor allocate(int rows, int columns) {
    return allocate(device.activationType(), rows, columns);
  }

  /** A contiguous tensor; its content is undefined. */
  public Tensor allocate(DType dtype, int rows, int columns) {
    long bytes = (long) rows * columns * dtype.bytes();
    while (currentSlab < slabs.size()) {
      Slab slab = slabs.get(currentSlab);
      long offset = slab.usedBytes;
      if (offset + bytes <= slab.tensor.byteSize()) {
        slab.usedBytes = alignUp(offset + bytes);
        return Tensor.of(dtype, rows, columns, slab.tensor.memory().asSlice(offset, bytes));
      }
      currentSlab++;
      if (currentSlab < slabs.size()) {
        slabs.get(currentSlab).usedBytes = 0;
      }
    }
    slabs.add(newSlab(bytes));
    currentSlab = slabs.size() - 1;
    return allocate(dtype, rows, columns);
  }

  /** A host array as an I32 tensor [1, length] on the device. */
  public Tensor upload(int[] values) {
    Tensor tensor = allocate(DType.I32, 1, values.length);
    device.upload(values, tensor);
    return tensor;
  }

  /** Bytes of all slabs. */
  public long allocatedBytes() {
    return slabs.stream().mapToLong(slab -> slab.tensor.byteSize()).sum();
  }

  @Override
  public void close() {
    slabs.forEach(slab -> slab.memory.close());
    slabs.clear();
    currentSlab = 0;
  }

  private Slab newSlab(long bytes) {
    long slabBytes =
        slabs.isEmpty()
            ? MIN_SLAB_BYTES
            : Math.min(2 * slabs.getLast().tensor.byteSize(), 1L << 30);
    long slabColumns = alignUp(Math.max(bytes, slabBytes)) / DType.I32.bytes();
    // A tensor's rows and columns are ints: a large slab is several rows.
    int rows = (int) Math.ceilDiv(slabColumns, 1L << 26);
    int columns = (int) Math.ceilDiv(slabColumns, rows);
    DeviceMemory memory = device.allocateRegion();
    try {
      return new Slab(memory, memory.allocate(DType.I32, rows, columns));
    } catch (RuntimeException | Error e) {
      memory.close();
      throw e;
    }
  }

  private static long alignUp(long bytes) {
    return (bytes + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
  }

  /** Gives back, when closed, what was allocated since it was opened. */
  public final class Scope implements AutoCloseable {
    private final int slab;
    private final long usedBytes;

    private Scope(int slab, long usedBytes) {
      this.slab = slab;
      this.usedBytes = usedBytes;
    }

    @Override
    public void close() {
      currentSlab = slab;
      if (slab < slabs.size()) {
        slabs.get(slab).usedBytes = usedBytes;
      }
    }
  }

  private static final class Slab {
    private final DeviceMemory memory;
    private final Tensor tensor;
    private long usedBytes;

    private Slab(DeviceMemory memory, Tensor tensor) {
      this.memory = memory;
      this.tensor = tensor;
    }
  }
}
