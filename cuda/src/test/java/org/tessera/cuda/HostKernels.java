package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Kernels themselves compiled for the host, with stand-ins for what only a GPU has. */
final class HostKernels {
  private static final List<String> COLLECTIVES =
      List.of("element.cuh", "peer_memory.cuh", "fibers.h", "simulate.cpp", "launch.cpp");
  private static final List<String> ATTENTION =
      List.of(
          "element.cuh",
          "wgmma/attention.cuh",
          "wgmma/wgmma.cuh",
          "wgmma/warps.h",
          "wgmma/attend.cpp");

  private HostKernels() {}

  /** Compiles one of the sources of allreduce.cu; where there is no g++ the test is skipped. */
  static Path compile(Path folder, String source, String... options) throws Exception {
    return compile(folder, "allreduce.cu", COLLECTIVES, source, options);
  }

  /** Compiles what runs attention_wgmma.cu; where there is no g++ the test is skipped. */
  static Path compileAttention(Path folder) throws Exception {
    return compile(folder, "attention_wgmma.cu", ATTENTION, "attend.cpp");
  }

  private static Path compile(
      Path folder, String kernel, List<String> standIns, String source, String... options)
      throws Exception {
    KernelSource kernels = KernelSource.ofResource(kernel);
    Files.writeString(folder.resolve(kernel), kernels.text());
    for (Map.Entry<String, String> header : kernels.headers().entrySet()) {
      Files.writeString(folder.resolve(header.getKey()), header.getValue());
    }
    for (String name : standIns) {
      try (InputStream in = HostKernels.class.getResourceAsStream("host/" + name)) {
        Files.write(folder.resolve(Path.of(name).getFileName()), in.readAllBytes());
      }
    }
    Path result = folder.resolve(source.replace(".cpp", ".out"));
    List<String> command =
        new ArrayList<>(
            List.of("g++", "-std=c++17", "-O1", "-fno-strict-aliasing", "-pthread", "-w"));
    command.addAll(List.of(options));
    command.addAll(List.of("-o", result.toString(), source));
    assertThat(run(folder, command)).isEmpty();
    return result;
  }

  /** The output of a command, or what keeps it from ending. */
  static String run(Path folder, List<String> command) throws IOException, InterruptedException {
    Path log = folder.resolve("log");
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true);
    Process process;
    try {
      process = builder.redirectOutput(log.toFile()).start();
    } catch (IOException e) {
      assumeTrue(!command.getFirst().equals("g++"), "g++ is not installed");
      throw e;
    }
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
      return "not done after a minute: " + Files.readString(log);
    }
    return Files.readString(log);
  }
}
