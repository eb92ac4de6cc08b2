package org.tessera.cuda;

import java.util.HashMap;
import java.util.Map;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * The backend's kernels on one device, by source file. A file is compiled, or taken from the cache
 * on disk, when its first kernel is asked for.
 */
final class CudaKernels {
  /** Hopper, from which on a kernel may start before the one before it has ended. */
  private static final int PROGRAMMATIC_CAPABILITY = 90;

  private final CudaDevice device;
  private final boolean programmatic;
  private final Map<String, CudaModule> modules = new HashMap<>();
  private final Map<String, Kernel> kernels = new HashMap<>();

  CudaKernels(CudaDevice device) {
    this.device = device;
    programmatic = device.context().properties().capability() >= PROGRAMMATIC_CAPABILITY;
  }

  /** The kernel {@code name}, the only one of that name among all files. */
  Kernel get(String file, String name) {
    return kernels.computeIfAbsent(
        name, key -> module(file).kernel(key).configure(programmatic, 1, 1, 1));
  }

  /** The ints of a variable that tells how to launch what is beside it. */
  int[] constants(String file, String name, int count) {
    int[] values = new int[count];
    Tensor variable =
        Tensor.of(
            DType.I32, 1, count, module(file).variable(name, (long) count * DType.I32.bytes()));
    device.download(variable, values);
    return values;
  }

  /** Unloads all kernels, when none of them runs. */
  void close() {
    modules.values().forEach(CudaModule::close);
    modules.clear();
    kernels.clear();
  }

  private CudaModule module(String file) {
    return modules.computeIfAbsent(
        file,
        key ->
            device
                .context()
                .loadModule(device.compiler().compile(KernelSource.ofResource(key), false)));
  }
}
