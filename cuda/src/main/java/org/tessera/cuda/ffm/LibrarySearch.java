package org.tessera.cuda.ffm;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Finds CUDA's libraries: first by the loader's own path, then in the folders of toolkits, Python
 * environments and distributions.
 *
 * @param folders where to look, in order
 */
public record LibrarySearch(List<Path> folders) {
  /** The folders of this machine. */
  public static LibrarySearch ofSystem() {
    return new LibrarySearch(LibraryFolders.of(Path.of("/"), System.getenv()));
  }

  /**
   * Loads the first of {@code sonames} that is anywhere, so that a newer one in a later folder wins
   * over an older one in an earlier folder.
   */
  public Optional<NativeLibrary> load(List<String> sonames) {
    for (String soname : sonames) {
      Optional<NativeLibrary> library =
          Stream.concat(Stream.of(soname), files(soname).map(Path::toString))
              .flatMap(name -> open(soname, name).stream())
              .findFirst();
      if (library.isPresent()) {
        return library;
      }
    }
    return Optional.empty();
  }

  private Stream<Path> files(String soname) {
    return folders.stream().map(folder -> folder.resolve(soname)).filter(Files::isRegularFile);
  }

  private static Optional<NativeLibrary> open(String soname, String name) {
    if (name.contains("libnvrtc.")) {
      loadBuiltins(Path.of(name));
    }
    try {
      SymbolLookup symbols = SymbolLookup.libraryLookup(name, Arena.global());
      return Optional.of(new NativeLibrary(soname, loadedPath(soname, name), symbols));
    } catch (IllegalArgumentException _) {
      return Optional.empty();
    }
  }

  /** NVRTC opens its built-in functions by their bare name, which is found once it is loaded. */
  private static void loadBuiltins(Path nvrtc) {
    Path folder = nvrtc.getParent();
    if (folder == null) {
      return;
    }
    String major = nvrtc.getFileName().toString().replaceFirst("^libnvrtc\\.so\\.?", "");
    for (Path builtins : matching(folder, "libnvrtc-builtins.so." + major + "*")) {
      try {
        SymbolLookup.libraryLookup(builtins, Arena.global());
      } catch (IllegalArgumentException _) {
        // NVRTC looks itself and says what it misses when it compiles.
      }
    }
  }

  static List<Path> matching(Path folder, String glob) {
    List<Path> found = new ArrayList<>();
    try (var paths = Files.newDirectoryStream(folder, glob)) {
      paths.forEach(found::add);
    } catch (IOException _) {
      return List.of();
    }
    found.sort(LibrarySearch::newestFirst);
    return found;
  }

  /** Numbers in names count as numbers: 13.0 before 12.10 before 12.9. */
  static int newestFirst(Path a, Path b) {
    String[] left = a.getFileName().toString().split("\\D+", -1);
    String[] right = b.getFileName().toString().split("\\D+", -1);
    for (int i = 0; i < Math.min(left.length, right.length); i++) {
      int order = Long.compare(number(right[i]), number(left[i]));
      if (order != 0) {
        return order;
      }
    }
    return b.compareTo(a);
  }

  private static long number(String digits) {
    return digits.isEmpty() || digits.length() > 18 ? 0 : Long.parseLong(digits);
  }

  /** A bare name says nothing about where the loader found it; the process's own map does. */
  private static String loadedPath(String soname, String name) {
    if (!name.equals(soname)) {
      return name;
    }
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      return maps.filter(line -> line.contains("/" + soname))
          .map(line -> line.substring(line.indexOf('/')))
          .findFirst()
          .orElse(name);
    } catch (IOException _) {
      return name;
    }
  }

  /** What a search that found nothing looked for, and where: for messages. */
  public String describe(List<String> sonames) {
    List<Path> existing = folders.stream().filter(Files::isDirectory).toList();
    return "%s is neither in the loader's path nor in %s"
        .formatted(
            String.join(" or ", sonames),
            existing.isEmpty() ? "any folder where CUDA is installed" : join(existing));
  }

  private static String join(List<Path> paths) {
    return String.join(", ", paths.stream().map(Path::toString).toList());
  }

  /** What {@code environment} names, where it does. */
  static Optional<Path> folder(Map<String, String> environment, String variable) {
    return Optional.ofNullable(environment.get(variable))
        .filter(value -> !value.isBlank())
        .map(Path::of);
  }
}
