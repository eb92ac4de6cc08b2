package org.tessera.cuda;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Map;

/**
 * Tells the profiler that this process runs under what to look at; without one it changes nothing.
 */
final class Profiler {
  /** Known to tools/gpu/kernel_times.py. */
  private static final String MARKER = "profile_marker";

  private static final KernelSource SOURCE =
      new KernelSource(
          MARKER + ".cu", "extern \"C\" __global__ void " + MARKER + "() {}\n", Map.of());

  private final CudaStream stream;
  private final Kernel marker;
  private final MethodHandle start;
  private final MethodHandle stop;

  /** For work of a device, whose context holds the marker from now on. */
  Profiler(CudaDevice device) {
    stream = device.stream();
    byte[] cubin = device.compiler().compile(SOURCE, /* architectureSpecific= */ false);
    marker = device.context().loadModule(cubin).kernel(MARKER);
    SymbolLookup driver = device.context().driver().library().symbols();
    start = bind(driver, "cuProfilerStart");
    stop = bind(driver, "cuProfilerStop");
  }

  /**
   * Runs work that is looked at.
   *
   * @param number from 1, by which it is told from other work: so many blocks has the kernel before
   *     it
   */
  void record(int number, Runnable work) {
    stream.synchronize();
    call(start, "cuProfilerStart");
    marker.arguments().launch(stream, number, 1, 1, 32, 0);
    work.run();
    stream.synchronize();
    call(stop, "cuProfilerStop");
  }

  private static MethodHandle bind(SymbolLookup driver, String name) {
    return Linker.nativeLinker()
        .downcallHandle(driver.findOrThrow(name), FunctionDescriptor.of(ValueLayout.JAVA_INT));
  }

  private static void call(MethodHandle function, String name) {
    int status;
    try {
      status = (int) function.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(name + " cannot be called", e);
    }
    if (status != 0) {
      throw new IllegalStateException("%s returned error %d".formatted(name, status));
    }
  }
}
