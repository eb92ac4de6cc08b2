package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.cuda.CudaLibraries.Missing;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.device.Backend.Component;

/** What is said where some of CUDA's libraries are missing, others being there. */
class CudaLibrariesTest {
  @TempDir Path folder;
  private FakeCuda fake;

  @BeforeEach
  void compileFakes() throws Exception {
    // The loader's own path comes first: a real library there would be taken for a missing one.
    LibrarySearch loader = new LibrarySearch(List.of());
    for (String library : List.of("libcuda.so.1", "libnvrtc.so.13", "libnvrtc.so.12")) {
      assumeTrue(loader.load(List.of(library)).isEmpty(), library + " is installed here");
    }
    for (String library : List.of("libcublasLt.so.13", "libcublasLt.so.12")) {
      assumeTrue(loader.load(List.of(library)).isEmpty(), library + " is installed here");
    }
    fake = new FakeCuda(folder);
  }

  private Missing missing() {
    return (Missing) CudaLibraries.load(fake.search);
  }

  private void remove(String library) throws Exception {
    Files.delete(folder.resolve(library));
  }

  @Test
  void withoutADriverNothingIsLookedFor() throws Exception {
    remove("libcuda.so.1");
    assertThat(missing().reason())
        .isEqualTo("libcuda.so.1 is neither in the loader's path nor in " + folder);
    assertThat(missing().remedy()).contains("apt install nvidia-driver", "--gpus all");
    assertThat(missing().components()).isEmpty();
  }

  @Test
  void whatIsThereIsNamedBesideWhatIsNot() throws Exception {
    remove("libnvrtc.so.13");
    assertThat(missing().reason())
        .isEqualTo(
            "libnvrtc.so.13 or libnvrtc.so.12 is neither in the loader's path nor in " + folder);
    assertThat(missing().remedy())
        .isEqualTo(
            "install it by: pip install nvidia-cuda-nvrtc, or from NVIDIA's Debian repository by:"
                + " apt install cuda-nvrtc-13-0");
    assertThat(missing().components())
        .containsExactly(
            new Component("driver", folder.resolve("libcuda.so.1").toString(), "CUDA 13.0"),
            new Component("cuBLASLt", folder.resolve("libcublasLt.so.13").toString(), "13.1.1"));
  }

  @Test
  void oneLineInstallsAllThatIsMissing() throws Exception {
    remove("libnvrtc.so.13");
    remove("libcublasLt.so.13");
    assertThat(missing().remedy())
        .contains("pip install nvidia-cuda-nvrtc nvidia-cublas,")
        .endsWith("apt install cuda-nvrtc-13-0 libcublas-13-0");
    assertThat(missing().components()).extracting(Component::name).containsExactly("driver");
  }

  @Test
  void librariesNewerThanTheDriverAreNotTaken() {
    fake.driverVersion(12040);
    assertThat(missing().reason())
        .startsWith("libnvrtc.so.12 or libcublasLt.so.12 is neither")
        .doesNotContain(".so.13");
    assertThat(missing().remedy())
        .contains("pip install nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12")
        .endsWith("apt install cuda-nvrtc-12-9 libcublas-12-9");
    assertThat(missing().components()).extracting(Component::version).containsExactly("CUDA 12.4");
  }

  @Test
  void anOldDriverIsNamedWithItsPath() {
    fake.driverVersion(11080);
    assertThat(missing().reason()).isEqualTo("the driver is for CUDA 11.8, older than 12.0");
    assertThat(missing().components()).extracting(Component::name).containsExactly("driver");
  }
}
