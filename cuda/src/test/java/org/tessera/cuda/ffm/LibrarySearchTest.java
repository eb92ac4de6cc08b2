package org.tessera.cuda.ffm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** In which order CUDA's libraries are looked for, in a tree that stands for a machine's. */
class LibrarySearchTest {
  @TempDir Path root;

  private Path folder(String path) throws IOException {
    return Files.createDirectories(root.resolve(path));
  }

  private List<String> folders(Map<String, String> environment) {
    return LibraryFolders.of(root, environment).stream()
        .map(found -> root.relativize(found).toString())
        .toList();
  }

  /** A library of one function, of which there is none else on any machine. */
  private Path library(String path) throws Exception {
    Path library = root.resolve(path);
    Files.createDirectories(library.getParent());
    Path source = Files.writeString(root.resolve("one.c"), "int one(void) { return 1; }\n");
    ProcessBuilder gcc =
        new ProcessBuilder("gcc", "-shared", "-fPIC", "-o", library.toString(), source.toString());
    Process process;
    try {
      process = gcc.inheritIO().start();
    } catch (IOException _) {
      assumeTrue(false, "gcc is not installed, so that no library can be made");
      throw new IllegalStateException("not reached");
    }
    assertThat(process.waitFor()).isZero();
    return library;
  }

  @Test
  void noLibraryIsNewerThanTheDriver() {
    assertThat(Nvrtc.sonames(13)).containsExactly("libnvrtc.so.13", "libnvrtc.so.12");
    assertThat(Nvrtc.sonames(12)).containsExactly("libnvrtc.so.12");
    assertThat(CublasLt.sonames(13)).containsExactly("libcublasLt.so.13", "libcublasLt.so.12");
    assertThat(CublasLt.sonames(12)).containsExactly("libcublasLt.so.12");
    assertThat(Nvrtc.sonames(14)).isEqualTo(Nvrtc.sonames(13));
  }

  @Test
  void toolkitsComeInOrder() throws Exception {
    folder("usr/local/cuda-12.9/lib64");
    folder("usr/local/cuda-12.10/lib64");
    folder("usr/local/cuda-13.0/targets/x86_64-linux/lib");
    folder("usr/local/cuda/lib64");
    folder("home/cuda/lib64");
    folder("usr/lib/x86_64-linux-gnu");
    List<String> found = folders(Map.of("CUDA_HOME", root.resolve("home/cuda").toString()));
    assertThat(found)
        .containsSubsequence(
            "home/cuda/lib64",
            "usr/local/cuda/lib64",
            "usr/local/cuda-13.0/targets/x86_64-linux/lib",
            "usr/local/cuda-12.10/lib64",
            "usr/local/cuda-12.9/lib64",
            "usr/lib/x86_64-linux-gnu");
    assertThat(found).doesNotHaveDuplicates();
  }

  @Test
  void packagesOfPythonComeInBothLayouts() throws Exception {
    String packages = "venv/lib/python3.12/site-packages/nvidia/";
    folder(packages + "cu13/lib");
    folder(packages + "cublas/lib");
    folder(packages + "cuda_nvrtc/lib");
    folder("user/.local/lib/python3.11/site-packages/nvidia/cublas/lib");
    folder("usr/local/lib/python3.12/dist-packages/nvidia/cu13/lib");
    folder("opt/app/.venv/lib/python3.12/site-packages/nvidia/cu12/lib");
    List<String> found =
        folders(
            Map.of(
                "VIRTUAL_ENV",
                root.resolve("venv").toString(),
                "HOME",
                root.resolve("user").toString()));
    assertThat(found)
        .containsSubsequence(
            packages + "cu13/lib",
            packages + "cuda_nvrtc/lib",
            "user/.local/lib/python3.11/site-packages/nvidia/cublas/lib",
            "usr/local/lib/python3.12/dist-packages/nvidia/cu13/lib",
            "opt/app/.venv/lib/python3.12/site-packages/nvidia/cu12/lib")
        .contains(packages + "cublas/lib")
        .doesNotHaveDuplicates();
  }

  @Test
  void condasFoldersAreFound() throws Exception {
    folder("conda/lib/python3.12/site-packages/nvidia/cublas/lib");
    folder("conda/targets/x86_64-linux/lib");
    assertThat(folders(Map.of("CONDA_PREFIX", root.resolve("conda").toString())))
        .contains(
            "conda/lib",
            "conda/targets/x86_64-linux/lib",
            "conda/lib/python3.12/site-packages/nvidia/cublas/lib");
  }

  @Test
  void whatIsNotThereIsNotSearched() throws Exception {
    Files.writeString(folder("usr/local").resolve("cuda-13.0"), "a file");
    assertThat(folders(Map.of("CUDA_HOME", "/no/such/folder", "VIRTUAL_ENV", " "))).isEmpty();
  }

  @Test
  void aNewerLibraryInALaterFolderWins() throws Exception {
    library("first/libtesseratest.so.12");
    Path newer = library("second/libtesseratest.so.13");
    LibrarySearch search = new LibrarySearch(List.of(folder("first"), folder("second")));
    assertThat(search.load(Sonames.upTo("libtesseratest.so.", 13)))
        .get()
        .satisfies(found -> {
          assertThat(found.soname()).isEqualTo("libtesseratest.so.13");
          assertThat(found.path()).isEqualTo(newer.toString());
          assertThat(found.symbols().find("one")).isPresent();
        });
    assertThat(search.load(Sonames.upTo("libtesseratest.so.", 12)))
        .get()
        .extracting(NativeLibrary::soname)
        .isEqualTo("libtesseratest.so.12");
  }

  @Test
  void earlierFoldersComeFirstAndBrokenFilesAreLeftOut() throws Exception {
    Files.writeString(folder("broken").resolve("libtesseratest.so.13"), "no library");
    Path good = library("good/libtesseratest.so.13");
    library("late/libtesseratest.so.13");
    LibrarySearch search =
        new LibrarySearch(List.of(folder("broken"), folder("good"), folder("late")));
    assertThat(search.load(List.of("libtesseratest.so.13")))
        .get()
        .extracting(NativeLibrary::path)
        .isEqualTo(good.toString());
  }

  @Test
  void theBuiltInsOfNvrtcAreLoadedBesideIt() throws Exception {
    library("nvrtc/libnvrtc.so.99");
    Path builtins = library("nvrtc/libnvrtc-builtins.so.99.1").toRealPath();
    Path other = library("nvrtc/libnvrtc-builtins.so.98.0").toRealPath();
    LibrarySearch search = new LibrarySearch(List.of(folder("nvrtc")));
    assertThat(search.load(List.of("libnvrtc.so.99"))).isPresent();
    assertThat(Files.readString(Path.of("/proc/self/maps")))
        .contains(builtins.toString())
        .doesNotContain(other.toString());
  }

  @Test
  void whatIsMissingIsNamedWithWhereItWasLookedFor() throws Exception {
    List<String> sonames = Sonames.upTo("libtesseratest.so.", 13);
    LibrarySearch search = new LibrarySearch(List.of(folder("empty"), root.resolve("none")));
    assertThat(search.load(sonames)).isEmpty();
    assertThat(search.describe(sonames))
        .isEqualTo(
            "libtesseratest.so.13 or libtesseratest.so.12 is neither in the loader's path nor in "
                + root.resolve("empty"));
    assertThat(new LibrarySearch(List.of()).describe(sonames))
        .endsWith("any folder where CUDA is installed");
  }
}
