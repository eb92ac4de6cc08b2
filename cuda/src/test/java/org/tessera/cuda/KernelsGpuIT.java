package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.tensor.DType;

/** Every kernel file compiles by NVRTC for the card at hand, and its kernels load. */
class KernelsGpuIT {
  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  /** Every kernel, and nothing else, has a bank of constants with its parameters. */
  private static final Pattern KERNEL = Pattern.compile("\\.nv\\.constant0\\.(\\w+)\0");

  /** The files among the classes or, as packed, in the jar. */
  static Stream<String> sources() throws IOException, URISyntaxException {
    URI element =
        Objects.requireNonNull(CudaBackend.class.getResource("kernels/element.cuh")).toURI();
    if (element.getScheme().equals("jar")) {
      try (FileSystem jar = FileSystems.newFileSystem(element, Map.of())) {
        return sourcesIn(
            jar.getPath(KernelsGpuIT.class.getPackageName().replace('.', '/'), "kernels"));
      }
    }
    return sourcesIn(Path.of(element).resolveSibling(""));
  }

  private static Stream<String> sourcesIn(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names =
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.endsWith(".cu"))
              .sorted()
              .toList();
      return names.stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @ParameterizedTest
  @MethodSource("sources")
  void compilesAndLoads(String name, TestReporter reporter) {
    check(name, false, reporter);
  }

  @ParameterizedTest
  @MethodSource("sources")
  void compilesForHopperAlone(String name, TestReporter reporter) {
    int capability = GPU.device().context().properties().capability();
    assumeTrue(capability == 90, "the card is of compute capability " + capability + ", not 90");
    check(name, true, reporter);
  }

  private static void check(String name, boolean architectureSpecific, TestReporter reporter) {
    CudaDevice device = GPU.device();
    byte[] cubin = device.compiler().compile(KernelSource.ofResource(name), architectureSpecific);
    Set<String> kernels = kernels(cubin);
    // What needs the instructions of sm_90a alone is empty for every other target.
    assertThat(kernels.isEmpty())
        .isEqualTo(name.equals("attention_wgmma.cu") && !architectureSpecific);
    try (CudaModule module = device.context().loadModule(cubin)) {
      for (String kernelName : kernels) {
        Kernel kernel = module.kernel(kernelName);
        reporter.publishEntry(
            name + (architectureSpecific ? " sm_90a " : " ") + kernelName,
            "%d registers, %d bytes of local memory"
                .formatted(kernel.registers(), kernel.localBytes()));
        assertThat(kernel.registers()).isPositive();
        // A product at memory speed has no time for local memory. What rotates has 32 bytes, with
        // which sincosf brings angles beyond 105,615 into a turn: positions end long before.
        if (name.equals("gemv.cu")) {
          assertThat(kernel.localBytes())
              .as(kernelName)
              .isLessThanOrEqualTo(kernelName.contains("_qkv_") ? 32 : 0);
        }
      }
    }
  }

  private static Set<String> kernels(byte[] cubin) {
    Set<String> names = new TreeSet<>();
    Matcher matcher = KERNEL.matcher(new String(cubin, StandardCharsets.ISO_8859_1));
    while (matcher.find()) {
      names.add(matcher.group(1));
    }
    return names;
  }
}
