package org.tessera.cuda;

/** A point in a stream that can be waited for, and timed if it was created so. */
public final class CudaEvent implements AutoCloseable {
  private final CudaContext context;
  private final long handle;
  private final CudaContext.Resource resource;

  CudaEvent(CudaContext context, long handle) {
    this.context = context;
    this.handle = handle;
    resource = this::close;
    context.register(resource);
  }

  /** The CUevent. */
  public long handle() {
    return handle;
  }

  /** Marks the point that {@code stream} has reached with what was issued so far. */
  public void record(CudaStream stream) {
    context.makeCurrent();
    context.driver().execution().recordEvent(handle, stream.handle());
  }

  /** Waits until the recorded point is passed; at once where nothing was recorded. */
  public void synchronize() {
    context.makeCurrent();
    context.driver().execution().synchronizeEvent(handle);
  }

  /** Milliseconds from {@code start} to this event; both timed, recorded and passed. */
  public float millisecondsSince(CudaEvent start) {
    context.makeCurrent();
    return context.driver().execution().elapsedMilliseconds(start.handle, handle);
  }

  @Override
  public void close() {
    if (context.unregister(resource)) {
      context.makeCurrent();
      context.driver().execution().destroyEvent(handle);
    }
  }
}
