package org.tessera.cuda;

import java.util.HashMap;
import java.util.List;
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
  private final Map<Source, CudaModule> modules = new HashMap<>();
  private final Map<Name, Kernel> kernels = new HashMap<>();

  /**
   * A file and how it is compiled.
   *
   * @param architectureSpecific as in {@link KernelCompiler#compile}
   * @param defines preprocessor definitions: {@code HEADS=28}
   */
  record Source(String file, boolean architectureSpecific, List<String> defines) {
    Source {
      defines = List.copyOf(defines);
    }

    static Source of(String file, String... defines) {
      return new Source(file, false, List.of(defines));
    }
  }

  private record Name(Source source, String kernel) {}

  CudaKernels(CudaDevice device) {
    this.device = device;
    programmatic = device.context().properties().capability() >= PROGRAMMATIC_CAPABILITY;
  }

  Kernel get(String file, String name) {
    return get(Source.of(file), name);
  }

  Kernel get(Source source, String name) {
    return kernels.computeIfAbsent(
        new Name(source, name),
        key -> module(source).kernel(name).configure(programmatic, 1, 1, 1));
  }

  /** The ints of a variable that tells how to launch what is beside it. */
  int[] constants(Source source, String name, int count) {
    int[] values = new int[count];
    Tensor variable =
        Tensor.of(
            DType.I32, 1, count, module(source).variable(name, (long) count * DType.I32.bytes()));
    device.download(variable, values);
    return values;
  }

  /** Unloads all kernels, when none of them runs. */
  void close() {
    modules.values().forEach(CudaModule::close);
    modules.clear();
    kernels.clear();
  }

  private CudaModule module(Source source) {
    return modules.computeIfAbsent(
        source,
        key ->
            device
                .context()
                .loadModule(
                    device
                        .compiler()
                        .compile(
                            KernelSource.ofResource(key.file),
                            key.architectureSpecific,
                            key.defines.toArray(String[]::new))));
  }
}
