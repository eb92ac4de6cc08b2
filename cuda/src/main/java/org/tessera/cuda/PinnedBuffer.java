package org.tessera.cuda;

import java.lang.foreign.MemorySegment;

/** Host memory that stays where it is, so that the device can copy it while the host goes on. */
public final class PinnedBuffer implements AutoCloseable {
  private final CudaContext context;
  private final MemorySegment memory;
  private final CudaContext.Resource resource;

  PinnedBuffer(CudaContext context, long address, long bytes) {
    this.context = context;
    memory = MemorySegment.ofAddress(address).reinterpret(bytes);
    resource = this::close;
    context.register(resource);
  }

  /** The memory; not to be touched after {@link #close}. */
  public MemorySegment memory() {
    return memory;
  }

  @Override
  public void close() {
    if (context.unregister(resource)) {
      context.makeCurrent();
      context.driver().freeHost(memory.address());
    }
  }
}
