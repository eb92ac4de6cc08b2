package org.tessera.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every kernel file compiles for every generation that is supported, with nvcc where there is one.
 */
class KernelsCompileTest {
  private static final Pattern INCLUDE = Pattern.compile("^\\s*#\\s*include\\s+(\\S+)");
  private static final Pattern SPILL = Pattern.compile("[1-9]\\d* bytes spill");

  @TempDir Path scratch;

  static Path directory() throws URISyntaxException {
    return Path.of(
            Objects.requireNonNull(KernelsCompileTest.class.getResource("kernels/element.cuh"))
                .toURI())
        .resolveSibling("");
  }

  static List<Path> files(String suffix) throws IOException, URISyntaxException {
    try (Stream<Path> files = Files.list(directory())) {
      return files.filter(file -> file.toString().endsWith(suffix)).sorted().toList();
    }
  }

  static Stream<Path> sources() throws IOException, URISyntaxException {
    return files(".cu").stream();
  }

  @Test
  void includesOnlyFilesBesideIt() throws Exception {
    List<Path> all = new ArrayList<>(files(".cu"));
    all.addAll(files(".cuh"));
    assertFalse(all.isEmpty());
    for (Path file : all) {
      for (String line : Files.readAllLines(file)) {
        Matcher include = INCLUDE.matcher(line);
        if (include.find()) {
          String name = include.group(1);
          assertTrue(
              name.startsWith("\"") && Files.exists(directory().resolve(name.replace("\"", ""))),
              () -> file.getFileName() + " includes " + name);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("sources")
  void compiles(Path source) throws Exception {
    String nvcc = nvcc().orElse(null);
    assumeTrue(nvcc != null, "no nvcc on the PATH or under /usr/local/cuda*");
    for (String architecture : List.of("sm_80", "sm_90", "sm_100")) {
      compile(nvcc, source, architecture);
    }
    compile(nvcc, source, "sm_90", "-DTESSERA_F16");
    if (source.endsWith("gemv.cu")) {
      compile(nvcc, source, "sm_90", "-DGEMV_CLUSTER=1", "-DGEMV_LATE_START=1");
    }
    if (source.endsWith("attention_wgmma.cu")) {
      compile(nvcc, source, "sm_90a");
      compile(nvcc, source, "sm_90a", "-DTESSERA_F16");
    }
  }

  private void compile(String nvcc, Path source, String architecture, String... options)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                nvcc,
                "-std=c++17",
                "-cubin",
                "-gencode=arch=compute_%1$s,code=sm_%1$s".formatted(architecture.substring(3)),
                "-Werror=all-warnings",
                "-Xptxas=-v",
                "-o",
                scratch.resolve("kernel.cubin").toString(),
                source.toString()));
    command.addAll(List.of(options));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), () -> String.join(" ", command) + "\n" + output);
    // ptxas then waits for each product before the next, which it only notes.
    assertFalse(output.contains("serialized"), () -> architecture + "\n" + output);
    // A product at memory speed, and a sum that takes microseconds, have no time for local memory.
    if (source.endsWith("gemv.cu")
        || source.endsWith("norm.cu")
        || source.endsWith("attention_wgmma.cu")
        || source.endsWith("allreduce.cu")) {
      assertFalse(SPILL.matcher(output).find(), () -> architecture + "\n" + output);
    }
  }

  static Optional<String> nvcc() throws IOException {
    List<Path> directories = new ArrayList<>();
    for (String directory : System.getenv("PATH").split(File.pathSeparator, -1)) {
      directories.add(Path.of(directory));
    }
    Path local = Path.of("/usr/local");
    if (Files.isDirectory(local)) {
      try (Stream<Path> toolkits = Files.list(local)) {
        toolkits
            .filter(path -> path.getFileName().toString().startsWith("cuda"))
            .map(path -> path.resolve("bin"))
            .forEach(directories::add);
      }
    }
    return directories.stream()
        .map(directory -> directory.resolve("nvcc"))
        .filter(Files::isExecutable)
        .map(Path::toString)
        .findFirst();
  }
}
