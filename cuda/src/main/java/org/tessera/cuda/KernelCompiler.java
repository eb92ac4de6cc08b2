package org.tessera.cuda;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.tessera.cuda.ffm.Nvrtc;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;

/**
 * Makes cubins of kernels for one architecture and one type of activations, once: what was compiled
 * is kept on disk.
 */
public final class KernelCompiler {
  private static final int HOPPER = 90;

  private final Nvrtc nvrtc;
  private final String nvrtcVersion;
  private final KernelCache cache;
  private final int capability;
  private final DType activationType;
  private Optional<String> cacheProblem = Optional.empty();

  /**
   * @param capability of the card: 90 for compute capability 9.0
   * @param activationType BF16 or F16
   * @throws DeviceException where this NVRTC does not know the card
   */
  public KernelCompiler(Nvrtc nvrtc, KernelCache cache, int capability, DType activationType) {
    if (activationType != DType.BF16 && activationType != DType.F16) {
      throw new IllegalArgumentException("activations of " + activationType);
    }
    this.nvrtc = nvrtc;
    this.cache = cache;
    this.capability = capability;
    this.activationType = activationType;
    nvrtcVersion = nvrtc.version();
    int[] known = nvrtc.supportedArchitectures();
    if (Arrays.stream(known).noneMatch(architecture -> architecture == capability)) {
      throw new DeviceException(
          "NVRTC %s of %s does not compile for sm_%d, only for %s: install another version of CUDA"
              .formatted(nvrtcVersion, nvrtc.library().path(), capability, Arrays.toString(known)));
    }
  }

  /** BF16 or F16. */
  public DType activationType() {
    return activationType;
  }

  /**
   * The cubin of a source.
   *
   * @param architectureSpecific whether it uses instructions of its architecture alone, as of
   *     sm_90a; only Hopper is compiled for so
   * @param defines preprocessor definitions besides that of the activation type: {@code HEADS=28}
   * @throws DeviceException with the compiler's log where it does not compile
   */
  public byte[] compile(KernelSource source, boolean architectureSpecific, String... defines) {
    List<String> options = options(architectureSpecific, defines);
    String key = key(source, options);
    return cache.find(key).orElseGet(() -> compileAndKeep(source, options, key));
  }

  /** Why kernels could not be kept, where that is so: they are compiled at every start then. */
  public Optional<String> cacheProblem() {
    return cacheProblem;
  }

  private byte[] compileAndKeep(KernelSource source, List<String> options, String key) {
    byte[] cubin = nvrtc.compile(source.name(), source.text(), source.headers(), options);
    try {
      cache.store(key, cubin);
    } catch (IOException e) {
      cacheProblem =
          Optional.of(
              "compiled kernels cannot be kept in %s and are compiled at every start: %s"
                  .formatted(cache.folder(), e));
    }
    return cubin;
  }

  private List<String> options(boolean architectureSpecific, String... defines) {
    List<String> options = new ArrayList<>();
    String suffix = architectureSpecific && capability == HOPPER ? "a" : "";
    options.add("--gpu-architecture=sm_" + capability + suffix);
    options.add("--std=c++17");
    options.add("-default-device");
    if (activationType == DType.F16) {
      options.add("-DTESSERA_F16");
    }
    for (String define : defines) {
      options.add("-D" + define);
    }
    return options;
  }

  private String key(KernelSource source, List<String> options) {
    List<String> parts = new ArrayList<>();
    parts.add("NVRTC " + nvrtcVersion);
    parts.addAll(options);
    parts.add(source.name());
    parts.add(source.text());
    new TreeMap<>(source.headers())
        .forEach((name, text) -> {
          parts.add(name);
          parts.add(text);
        });
    return KernelCache.key(parts);
  }
}
