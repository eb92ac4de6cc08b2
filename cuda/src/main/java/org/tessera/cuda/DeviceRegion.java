package org.tessera.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Device memory that is freed as a whole. Small tensors share slabs, large ones have an allocation
 * each; all begin at a multiple of 256 bytes. The memory of its tensors is a segment whose address
 * is the device pointer: the host must not touch it.
 */
public final class DeviceRegion implements DeviceMemory {
  private static final long ALIGNMENT_BYTES = 256;
  private static final long SLAB_BYTES = 2L << 20;

  private final CudaContext context;
  private final CudaContext.Resource resource;
  private final List<MemorySegment> allocations = new ArrayList<>();
  private MemorySegment slab = MemorySegment.NULL;
  private long slabUsedBytes;
  private long allocatedBytes;
  private boolean closed;

  public DeviceRegion(CudaContext context) {
    this.context = context;
    resource = this::close;
    context.register(resource);
  }

  @Override
  public Tensor allocate(DType dtype, int rows, int columns) {
    long elements = (long) rows * columns;
    if (elements > Long.MAX_VALUE / 8) {
      throw new DeviceException(
          "%s: %d elements exceed any memory".formatted(context.id(), elements));
    }
    long bytes = elements * dtype.bytes();
    return Tensor.of(dtype, rows, columns, allocate(bytes));
  }

  /** Whose memory it is. */
  CudaContext context() {
    return context;
  }

  /** Device memory without a type. */
  public synchronized MemorySegment allocate(long bytes) {
    long padded = Math.ceilDiv(Math.max(bytes, 1), ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    MemorySegment memory;
    if (padded > SLAB_BYTES / 4) {
      memory = reserve(padded);
    } else {
      if (slabUsedBytes + padded > slab.byteSize()) {
        slab = reserve(SLAB_BYTES);
        slabUsedBytes = 0;
      }
      memory = slab.asSlice(slabUsedBytes, padded);
      slabUsedBytes += padded;
    }
    allocatedBytes += padded;
    return memory.asSlice(0, bytes);
  }

  private MemorySegment reserve(long bytes) {
    if (closed) {
      throw new IllegalStateException("the region is closed");
    }
    MemorySegment memory = context.allocate(bytes);
    allocations.add(memory);
    return memory;
  }

  @Override
  public synchronized long allocatedBytes() {
    return allocatedBytes;
  }

  @Override
  public synchronized void close() {
    if (!context.unregister(resource)) {
      return;
    }
    closed = true;
    slab = MemorySegment.NULL;
    slabUsedBytes = 0;
    while (!allocations.isEmpty()) {
      context.free(allocations.removeLast());
    }
  }
}
