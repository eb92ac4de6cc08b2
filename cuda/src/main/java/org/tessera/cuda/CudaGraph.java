package org.tessera.cuda;

import org.tessera.cuda.ffm.Execution;

/** Work that was captured from a stream and is launched as a whole, with the same addresses. */
public final class CudaGraph implements AutoCloseable {
  private final CudaContext context;
  private final Execution execution;
  private final long exec;
  private final CudaContext.Resource resource;

  private CudaGraph(CudaContext context, long exec) {
    this.context = context;
    this.exec = exec;
    execution = context.driver().execution();
    resource = this::close;
    context.register(resource);
  }

  /** The executable of a CUgraph, which is destroyed: it is not changed afterwards. */
  static CudaGraph instantiate(CudaContext context, long graph) {
    Execution execution = context.driver().execution();
    try {
      return new CudaGraph(context, execution.instantiate(graph));
    } finally {
      execution.destroyGraph(graph);
    }
  }

  /** Brings the work to the device, so that the first launch is like every other. */
  public void upload(CudaStream stream) {
    context.makeCurrent();
    execution.uploadGraph(exec, stream.handle());
  }

  /** Issues the whole work to {@code stream}. */
  public void launch(CudaStream stream) {
    context.makeCurrent();
    execution.launchGraph(exec, stream.handle());
  }

  @Override
  public void close() {
    if (context.unregister(resource)) {
      context.makeCurrent();
      execution.destroyGraphExec(exec);
    }
  }
}
