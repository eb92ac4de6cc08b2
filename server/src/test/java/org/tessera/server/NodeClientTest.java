package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * npm's {@code openai}, run by Node, asks the demo model: the checks are in {@code
 * src/test/node/client.mjs}.
 */
class NodeClientTest {
  private static final String KEY = "a-secret-key-1";
  private static final Path SOURCE = Path.of("src", "test", "node");
  private static final Path WORK = Path.of("target", "node");

  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    assumeTrue(isInstalled("node") && isInstalled("npm"), "node and npm are not installed");
    Files.createDirectories(WORK);
    for (String file : List.of("package.json", "package-lock.json", "client.mjs")) {
      Files.copy(SOURCE.resolve(file), WORK.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }
    Result install = run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts");
    assumeTrue(install.status() == 0, "npm could not install openai: " + install.output());
    server = TestServer.demo(Optional.of(ApiKey.of(KEY)));
  }

  @AfterAll
  static void stop() {
    if (server != null) {
      server.close();
    }
  }

  @Test
  void allChecksOfTheClientPass() throws Exception {
    assertThat(client().output()).endsWith("all is well\n");
    server.awaitIdle(); // the stream that it cancelled
  }

  @Test
  void aFullQueueIsARateLimit() throws Exception {
    try (AutoCloseable full = server.fill()) {
      assertThat(client("full").output()).endsWith("all is well\n");
    }
  }

  private static Result client(String... step) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.addAll(
        List.of(
            "node",
            "client.mjs",
            server.url("/v1"),
            KEY,
            TestServer.DEMO.resolve("pictures").toString()));
    command.addAll(List.of(step));
    return run(command.toArray(String[]::new));
  }

  private static boolean isInstalled(String command) {
    for (String directory : System.getenv("PATH").split(":")) {
      if (Files.isExecutable(Path.of(directory, command))) {
        return true;
      }
    }
    return false;
  }

  private record Result(int status, String output) {}

  private static Result run(String... command) throws IOException, InterruptedException {
    Path out = WORK.resolve("output.txt");
    Process process =
        new ProcessBuilder(command)
            .directory(WORK.toFile())
            .redirectErrorStream(true)
            .redirectOutput(out.toFile())
            .start();
    try {
      assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
      return new Result(process.exitValue(), Files.readString(out, StandardCharsets.UTF_8));
    } finally {
      process.destroyForcibly();
    }
  }
}
