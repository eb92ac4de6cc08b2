package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The collectives' kernels themselves, compiled for the host with stand-ins for what only a GPU
 * has, by 2 to 8 ranks that run at the same time: sums to the bit, guards, epochs that wrap,
 * alignments that differ, and the release of a rank that waits alone.
 */
class CollectiveProtocolTest {
  private static final int COLLECTIVES = 20;

  @TempDir Path folder;

  @Test
  void ranksAgreeToTheBitAndAreReleased() throws Exception {
    KernelSource kernels = KernelSource.ofResource("allreduce.cu");
    Files.writeString(folder.resolve("allreduce.cu"), kernels.text());
    for (Map.Entry<String, String> header : kernels.headers().entrySet()) {
      Files.writeString(folder.resolve(header.getKey()), header.getValue());
    }
    for (String name : List.of("element.cuh", "peer_memory.cuh", "simulate.cpp")) {
      try (InputStream in = CollectiveProtocolTest.class.getResourceAsStream("host/" + name)) {
        Files.write(folder.resolve(name), in.readAllBytes());
      }
    }
    String output =
        run(
            List.of(
                "g++",
                "-std=c++17",
                "-O1",
                "-fno-strict-aliasing",
                "-pthread",
                "-w",
                "-o",
                "simulate",
                "simulate.cpp"));
    assertThat(output).isEmpty();
    for (int seed = 1; seed <= 2; seed++) {
      assertThat(run(List.of("./simulate", String.valueOf(seed), String.valueOf(COLLECTIVES))))
          .isEqualTo("ok\n");
    }
  }

  private String run(List<String> command) throws IOException, InterruptedException {
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
