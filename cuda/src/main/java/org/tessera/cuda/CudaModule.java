package org.tessera.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/** The kernels of one cubin. */
public final class CudaModule implements AutoCloseable {
  private final CudaContext context;
  private final long handle;
  private final Arena arena = Arena.ofShared();
  private final Map<String, Kernel> kernels = new HashMap<>();
  private final CudaContext.Resource resource;

  CudaModule(CudaContext context, long handle) {
    this.context = context;
    this.handle = handle;
    resource = this::close;
    context.register(resource);
  }

  /**
   * The kernel of a name, always the same object.
   *
   * @throws org.tessera.error.DeviceException where the module has none
   */
  public synchronized Kernel kernel(String name) {
    return kernels.computeIfAbsent(
        name,
        key -> {
          context.makeCurrent();
          long function = context.driver().execution().function(handle, key);
          return new Kernel(context, key, function, arena);
        });
  }

  /**
   * The first {@code bytes} of a variable of the module.
   *
   * @throws org.tessera.error.DeviceException where the module has none of that name
   */
  MemorySegment variable(String name, long bytes) {
    context.makeCurrent();
    long address = context.driver().execution().global(handle, name);
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  @Override
  public void close() {
    if (context.unregister(resource)) {
      context.makeCurrent();
      context.driver().execution().unloadModule(handle);
      arena.close();
    }
  }
}
