package org.tessera.cuda.ffm;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Where CUDA's libraries lie when the loader does not know: toolkits, Python, distributions. */
final class LibraryFolders {
  private static final List<String> TOOLKIT =
      List.of("lib64", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib", "lib", "");
  private static final List<String> SYSTEM =
      List.of(
          "usr/lib/x86_64-linux-gnu",
          "usr/lib/aarch64-linux-gnu",
          "usr/lib64",
          "usr/lib/wsl/lib",
          "usr/local/nvidia/lib64");

  private final Path root;
  private final Set<Path> folders = new LinkedHashSet<>();

  private LibraryFolders(Path root) {
    this.root = root;
  }

  /**
   * The folders that exist, in the order in which they are searched.
   *
   * @param root {@code /}, or a tree that stands for it in a test
   */
  static List<Path> of(Path root, Map<String, String> environment) {
    LibraryFolders all = new LibraryFolders(root);
    LibrarySearch.folder(environment, "CUDA_HOME").ifPresent(all::toolkit);
    LibrarySearch.folder(environment, "CUDA_PATH").ifPresent(all::toolkit);
    all.toolkit(root.resolve("usr/local/cuda"));
    LibrarySearch.matching(root.resolve("usr/local"), "cuda-*").forEach(all::toolkit);
    LibrarySearch.folder(environment, "VIRTUAL_ENV").ifPresent(all::pythonHome);
    LibrarySearch.folder(environment, "CONDA_PREFIX")
        .ifPresent(prefix -> {
          all.toolkit(prefix);
          all.pythonHome(prefix);
        });
    LibrarySearch.folder(environment, "HOME")
        .ifPresent(home -> all.pythonHome(home.resolve(".local")));
    all.pythonHome(root.resolve("usr/local"));
    all.pythonHome(root.resolve("usr"));
    for (Path installed : LibrarySearch.matching(root.resolve("opt"), "*")) {
      all.pythonHome(installed.resolve(".venv"));
      all.pythonHome(installed.resolve("venv"));
      all.pythonHome(installed);
    }
    SYSTEM.forEach(folder -> all.add(root.resolve(folder)));
    return new ArrayList<>(all.folders);
  }

  private void toolkit(Path home) {
    TOOLKIT.forEach(folder -> add(home.resolve(folder)));
  }

  /** The packages of every Python below {@code home}/lib. */
  private void pythonHome(Path home) {
    for (Path python : LibrarySearch.matching(home.resolve("lib"), "python3*")) {
      packages(python.resolve("site-packages"));
      packages(python.resolve("dist-packages"));
    }
  }

  /** CUDA 13's wheels share nvidia/cu13/lib; CUDA 12's have a folder each. */
  private void packages(Path packages) {
    Path nvidia = packages.resolve("nvidia");
    LibrarySearch.matching(nvidia, "cu[0-9]*").forEach(cuda -> add(cuda.resolve("lib")));
    LibrarySearch.matching(nvidia, "*").forEach(part -> add(part.resolve("lib")));
  }

  private void add(Path folder) {
    if (Files.isDirectory(folder) && !folder.equals(root)) {
      folders.add(folder);
    }
  }
}
