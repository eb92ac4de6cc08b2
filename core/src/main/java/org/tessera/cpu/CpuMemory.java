package org.tessera.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Native memory: small tensors share slabs, large ones have an allocation each. */
final class CpuMemory implements DeviceMemory {
  private static final long ALIGNMENT = 64;
  private static final long SLAB_BYTES = 1 << 20;

  private final Arena arena = Arena.ofShared();
  private final Runnable onClose;
  private MemorySegment slab = MemorySegment.NULL;
  private long slabUsed;
  private long allocatedBytes;
  private boolean closed;

  CpuMemory(Runnable onClose) {
    this.onClose = onClose;
  }

  @Override
  public synchronized Tensor allocate(DType dtype, int rows, int columns) {
    long elements = (long) rows * columns;
    if (elements > Long.MAX_VALUE / 8) {
      throw new DeviceException("cpu: %d elements exceed any memory".formatted(elements));
    }
    long bytes = elements * dtype.bytes();
    long padded = Math.ceilDiv(Math.max(bytes, 1), ALIGNMENT) * ALIGNMENT;
    MemorySegment memory;
    if (padded > SLAB_BYTES / 4) {
      memory = reserve(padded);
    } else {
      if (slabUsed + padded > slab.byteSize()) {
        slab = reserve(SLAB_BYTES);
        slabUsed = 0;
      }
      memory = slab.asSlice(slabUsed, padded);
      slabUsed += padded;
    }
    allocatedBytes += padded;
    return Tensor.of(dtype, rows, columns, memory.asSlice(0, bytes));
  }

  /** The check comes first because the kernel grants more than it has and kills who touches it. */
  private MemorySegment reserve(long bytes) {
    if (bytes > SLAB_BYTES) {
      long free = HostMemory.freeBytes();
      if (bytes > free) {
        throw new DeviceException(
            "cpu: %d bytes of memory are needed, %d are free".formatted(bytes, free));
      }
    }
    try {
      return arena.allocate(bytes, ALIGNMENT);
    } catch (OutOfMemoryError e) {
      throw new DeviceException("cpu: %d bytes of memory are not to be had".formatted(bytes), e);
    }
  }

  @Override
  public synchronized long allocatedBytes() {
    return allocatedBytes;
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      arena.close();
      onClose.run();
    }
  }
}
