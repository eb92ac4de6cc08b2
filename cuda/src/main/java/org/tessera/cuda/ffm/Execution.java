package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;

/** What the driver executes: streams, events, graphs, modules and kernels. As {@link Driver}. */
public final class Execution {
  private static final int STREAM_NON_BLOCKING = 1;
  private static final int EVENT_DISABLE_TIMING = 2;
  private static final int CAPTURE_MODE_THREAD_LOCAL = 1;

  private final ExecutionApi api;
  private final DriverStatus status;

  Execution(ExecutionApi api, DriverStatus status) {
    this.api = api;
    this.status = status;
  }

  /** A stream that does not wait for the default stream. */
  public long createStream() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment stream = arena.allocate(ADDRESS);
      status.check(api.cuStreamCreate(stream, STREAM_NON_BLOCKING), "cuStreamCreate");
      return stream.get(JAVA_LONG, 0);
    }
  }

  public void destroyStream(long stream) {
    status.check(api.cuStreamDestroy(stream), "cuStreamDestroy_v2");
  }

  /** Waits until everything issued to the stream is done. */
  public void synchronizeStream(long stream) {
    status.check(api.cuStreamSynchronize(stream), "cuStreamSynchronize");
  }

  /** Makes later work of the stream wait for the event. */
  public void waitForEvent(long stream, long event) {
    status.check(api.cuStreamWaitEvent(stream, event, 0), "cuStreamWaitEvent");
  }

  /** Starts to record what this thread issues to the stream instead of running it. */
  public void beginCapture(long stream) {
    status.check(
        api.cuStreamBeginCapture(stream, CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture_v2");
  }

  /** Ends the capture and returns the CUgraph. */
  public long endCapture(long stream) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment graph = arena.allocate(ADDRESS);
      status.check(api.cuStreamEndCapture(stream, graph), "cuStreamEndCapture");
      return graph.get(JAVA_LONG, 0);
    }
  }

  /** The CUgraphExec of a graph. */
  public long instantiate(long graph) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment exec = arena.allocate(ADDRESS);
      status.check(api.cuGraphInstantiateWithFlags(exec, graph, 0), "cuGraphInstantiateWithFlags");
      return exec.get(JAVA_LONG, 0);
    }
  }

  /** Brings to the device what the first launch would bring otherwise, in order of the stream. */
  public void uploadGraph(long exec, long stream) {
    status.check(api.cuGraphUpload(exec, stream), "cuGraphUpload");
  }

  public void launchGraph(long exec, long stream) {
    status.check(api.cuGraphLaunch(exec, stream), "cuGraphLaunch");
  }

  public void destroyGraphExec(long exec) {
    status.check(api.cuGraphExecDestroy(exec), "cuGraphExecDestroy");
  }

  public void destroyGraph(long graph) {
    status.check(api.cuGraphDestroy(graph), "cuGraphDestroy");
  }

  /**
   * @param timed whether {@link #elapsedMilliseconds} is to be asked; recording is cheaper if not
   */
  public long createEvent(boolean timed) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(ADDRESS);
      status.check(api.cuEventCreate(event, timed ? 0 : EVENT_DISABLE_TIMING), "cuEventCreate");
      return event.get(JAVA_LONG, 0);
    }
  }

  public void recordEvent(long event, long stream) {
    status.check(api.cuEventRecord(event, stream), "cuEventRecord");
  }

  /** Waits until the work before the event's last record is done. */
  public void synchronizeEvent(long event) {
    status.check(api.cuEventSynchronize(event), "cuEventSynchronize");
  }

  /** Time between two recorded and finished events. */
  public float elapsedMilliseconds(long start, long end) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment milliseconds = arena.allocate(JAVA_FLOAT);
      status.check(api.cuEventElapsedTime(milliseconds, start, end), "cuEventElapsedTime");
      return milliseconds.get(JAVA_FLOAT, 0);
    }
  }

  public void destroyEvent(long event) {
    status.check(api.cuEventDestroy(event), "cuEventDestroy_v2");
  }

  /** Loads a cubin into the current context. */
  public long loadModule(byte[] cubin) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment module = arena.allocate(ADDRESS);
      // The driver reads the image as an ELF file, which wants to begin at a multiple of 8.
      MemorySegment image = arena.allocate(cubin.length, Long.BYTES);
      image.copyFrom(MemorySegment.ofArray(cubin));
      status.check(api.cuModuleLoadData(module, image), "cuModuleLoadData");
      return module.get(JAVA_LONG, 0);
    }
  }

  public void unloadModule(long module) {
    status.check(api.cuModuleUnload(module), "cuModuleUnload");
  }

  /** The CUfunction of a kernel by the name it has in the module. */
  public long function(long module, String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment function = arena.allocate(ADDRESS);
      status.check(
          api.cuModuleGetFunction(function, module, arena.allocateFrom(name)),
          "cuModuleGetFunction(" + name + ")");
      return function.get(JAVA_LONG, 0);
    }
  }

  /** The device address of a variable by the name it has in the module. */
  public long global(long module, String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      MemorySegment bytes = arena.allocate(JAVA_LONG);
      status.check(
          api.cuModuleGetGlobal(pointer, bytes, module, arena.allocateFrom(name)),
          "cuModuleGetGlobal_v2(" + name + ")");
      return pointer.get(JAVA_LONG, 0);
    }
  }

  public int functionAttribute(long function, FunctionAttribute attribute) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      status.check(api.cuFuncGetAttribute(value, attribute.code(), function), "cuFuncGetAttribute");
      return value.get(JAVA_INT, 0);
    }
  }

  public void setFunctionAttribute(long function, FunctionAttribute attribute, int value) {
    status.check(api.cuFuncSetAttribute(function, attribute.code(), value), "cuFuncSetAttribute");
  }

  /**
   * Bytes of each parameter of a kernel, in order; empty where the driver cannot tell, being older
   * than CUDA 12.4.
   */
  public Optional<int[]> parameterBytes(long function) {
    if (!api.hasFuncGetParamInfo()) {
      return Optional.empty();
    }
    int[] bytes = new int[0];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment offset = arena.allocate(JAVA_LONG);
      MemorySegment size = arena.allocate(JAVA_LONG);
      while (true) {
        int result = api.cuFuncGetParamInfo(function, bytes.length, offset, size);
        if (result == DriverStatus.INVALID_VALUE) {
          return Optional.of(bytes); // the index is past the last parameter
        }
        status.check(result, "cuFuncGetParamInfo");
        bytes = Arrays.copyOf(bytes, bytes.length + 1);
        bytes[bytes.length - 1] = (int) size.get(JAVA_LONG, 0);
      }
    }
  }

  /** How many blocks of a kernel one multiprocessor holds at a time. */
  public int blocksPerMultiprocessor(long function, int blockThreads, long sharedBytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment blocks = arena.allocate(JAVA_INT);
      status.check(
          api.cuOccupancyMaxActiveBlocksPerMultiprocessor(
              blocks, function, blockThreads, sharedBytes),
          "cuOccupancyMaxActiveBlocksPerMultiprocessor");
      return blocks.get(JAVA_INT, 0);
    }
  }

  /**
   * Launches a kernel as {@code launch} describes it. Errors name the kernel.
   *
   * @param name for messages
   */
  public void launch(LaunchBlock launch, long function, String name) {
    int result =
        api.cuLaunchKernelEx(launch.configAddress(), function, launch.parametersAddress(), 0);
    if (result != DriverStatus.SUCCESS) {
      status.check(result, "cuLaunchKernelEx of " + name);
    }
  }
}
