package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.TestServer.json;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/**
 * A crowd of clients in a second process. {@code -Pload} lets it stay for two minutes; what that
 * showed is in {@code docs/reliability.md}.
 */
class LoadTest {
  private static final int CLIENTS = 400;
  private static final int SECONDS = Integer.getInteger("load.seconds", 20);

  /** In 20 seconds two steps that something else on the machine holds up are 1 % already. */
  private static final double MAX_GAP_OVER_MEDIAN = Integer.getInteger("load.maxGapOverMedian", 6);

  @Test
  void aCrowdIsAnsweredRightAndLeavesNothingBehind() throws Exception {
    try (TestServer server = TestServer.demo(Optional.empty())) {
      generate(server, 16, 2); // loads classes and compiles
      Footprint before = Footprint.measure(server);

      JsonNode report = generate(server, CLIENTS, SECONDS);

      Footprint after = Footprint.measure(server);
      System.getLogger("load")
          .log(
              System.Logger.Level.INFO,
              "{0} before {1} after {2}",
              report.toString(),
              before.toString(),
              after.toString());
      assertThat(report.get("errors")).as(report.toString()).isEmpty();
      assertThat(report.get("finished").asInt()).isPositive();
      assertThat(report.get("cancelled").asInt()).isPositive();
      assertThat(report.get("disconnected").asInt()).isPositive();
      assertThat(report.get("gap_over_median_p99").asDouble())
          .as(report.toString())
          .isBetween(1.0, MAX_GAP_OVER_MEDIAN);
      after.assertNear(before);
    }
  }

  private static JsonNode generate(TestServer server, int clients, int seconds)
      throws IOException, InterruptedException {
    Path out = Files.createTempFile("load", ".json");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                LoadGenerator.class.getName(),
                String.valueOf(server.server().port()),
                String.valueOf(clients),
                String.valueOf(seconds),
                TestServer.DEMO.resolve("pictures").toString())
            .redirectOutput(out.toFile())
            .redirectError(Redirect.INHERIT)
            .start();
    try {
      assertThat(process.waitFor(seconds + 120, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
      return json(Files.readString(out, StandardCharsets.UTF_8));
    } finally {
      process.destroyForcibly();
      Files.delete(out);
    }
  }
}
