package org.tessera.cuda;

import java.lang.foreign.MemorySegment;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.Execution;

/**
 * A queue of work on a device. Segments of device memory are those of {@link DeviceRegion};
 * segments of host memory must be pinned and unchanged until the work is done.
 */
public final class CudaStream implements AutoCloseable {
  private final CudaContext context;
  private final Execution execution;
  private final long handle;
  private final CudaContext.Resource resource;
  private boolean capturing;

  CudaStream(CudaContext context, long handle) {
    this.context = context;
    this.handle = handle;
    execution = context.driver().execution();
    resource = this::close;
    context.register(resource);
  }

  public CudaContext context() {
    return context;
  }

  /** The CUstream. */
  public long handle() {
    return handle;
  }

  /** Waits until everything issued so far is done; errors of that work surface here. */
  public void synchronize() {
    context.makeCurrent();
    execution.synchronizeStream(handle);
  }

  /** Makes later work of this stream wait for what {@code event} recorded. */
  public void waitFor(CudaEvent event) {
    context.makeCurrent();
    execution.waitForEvent(handle, event.handle());
  }

  /** Issues a copy of the first {@code bytes} of pinned host memory to device memory. */
  public void copyToDevice(MemorySegment host, MemorySegment device, long bytes) {
    check(host, device, bytes);
    copyToDevice(host.address(), device.address(), bytes);
  }

  /** Issues a copy of the first {@code bytes} of device memory to pinned host memory. */
  public void copyToHost(MemorySegment device, MemorySegment host, long bytes) {
    check(host, device, bytes);
    copyToHost(device.address(), host.address(), bytes);
  }

  /** By addresses, for what must not allocate. */
  void copyToDevice(long host, long device, long bytes) {
    context.makeCurrent();
    context.driver().copyToDevice(device, host, bytes, handle);
  }

  /** By addresses, for what must not allocate. */
  void copyToHost(long device, long host, long bytes) {
    context.makeCurrent();
    context.driver().copyToHost(host, device, bytes, handle);
  }

  /** Issues a copy within device memory; the two must not overlap. */
  public void copyOnDevice(MemorySegment from, MemorySegment to, long bytes) {
    check(from, to, bytes);
    context.makeCurrent();
    context.driver().copyOnDevice(to.address(), from.address(), bytes, handle);
  }

  /**
   * Issues a copy from the memory of another device, by the cards themselves where they {@linkplain
   * CudaContext#reaches see each other}, else by the driver through the host.
   */
  void copyFromPeer(CudaContext from, MemorySegment source, MemorySegment to, long bytes) {
    check(source, to, bytes);
    context.copyFromPeer(to, from, source, bytes, handle);
  }

  /** Issues setting every byte of {@code device} to {@code value}. */
  public void fill(MemorySegment device, byte value) {
    context.makeCurrent();
    context.driver().fill(device.address(), value, device.byteSize(), handle);
  }

  /**
   * Runs {@code work}, which issues kernels and copies to this stream on the calling thread and
   * waits for nothing, and returns what it issued as a graph; nothing is executed yet. Where {@code
   * work} fails the capture ends and its exception is thrown.
   */
  public CudaGraph capture(Runnable work) {
    context.makeCurrent();
    execution.beginCapture(handle);
    boolean done = false;
    capturing = true;
    try {
      work.run();
      done = true;
    } finally {
      capturing = false;
      if (!done) {
        abandonCapture();
      }
    }
    context.makeCurrent();
    return CudaGraph.instantiate(context, execution.endCapture(handle));
  }

  /** Whether what this thread issues is being captured. */
  boolean isCapturing() {
    return capturing;
  }

  /** The failure of the captured work is what the user must hear of, not that of ending it. */
  private void abandonCapture() {
    try {
      context.makeCurrent();
      long graph = execution.endCapture(handle);
      if (graph != 0) {
        execution.destroyGraph(graph);
      }
    } catch (CudaException _) {
      // A capture that its work invalidated ends with an error and leaves no graph.
    }
  }

  private static void check(MemorySegment a, MemorySegment b, long bytes) {
    if (bytes < 0 || bytes > a.byteSize() || bytes > b.byteSize()) {
      throw new IndexOutOfBoundsException(
          "%d bytes between segments of %d and %d".formatted(bytes, a.byteSize(), b.byteSize()));
    }
  }

  @Override
  public void close() {
    if (context.unregister(resource)) {
      context.makeCurrent();
      execution.destroyStream(handle);
    }
  }
}
