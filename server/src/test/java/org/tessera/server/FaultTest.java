package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.TestServer.chat;
import static org.tessera.server.TestServer.dataUrl;
import static org.tessera.server.TestServer.json;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.api.LoadOptions;
import org.tessera.error.DeviceException;
import tools.jackson.databind.JsonNode;

/** Kernels that crash take their own request with them, and nothing else. */
class FaultTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final String PICTURE =
      "[{\"type\":\"image_url\",\"image_url\":\"%s\"}]".formatted(dataUrl("small.png"));

  private static TestServer server;
  private static String before;

  @BeforeAll
  static void start() {
    server =
        TestServer.startOn(
            "faulty",
            TestServer.CONFORMANCE.resolve("checkpoint"),
            LoadOptions.defaults().withContextTokens(4096),
            TestServer.options(Optional.empty(), ServerLimits.defaults()));
    before = answer();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @AfterEach
  void answersAsBefore() throws InterruptedException {
    assertThat(FaultyBackend.hasFailed()).isTrue();
    assertThat(answer()).isEqualTo(before);
    server.awaitIdle();
    assertThat(server.get("/ready").statusCode()).isEqualTo(200);
  }

  static Stream<Supplier<Throwable>> failures() {
    return Stream.of(
        () -> new DeviceException("a secret of the device at 0x7f00deadbeef"),
        () -> new IllegalArgumentException("a secret"),
        () -> new OutOfMemoryError("a secret"),
        () -> new InternalError("a secret"),
        () -> new StackOverflowError(),
        () -> new UnsatisfiedLinkError("a secret"),
        () -> new AssertionError("a secret"));
  }

  @ParameterizedTest
  @MethodSource("failures")
  void aCrashIsA500ThatIsNotRetried(Supplier<Throwable> failure) {
    FaultyBackend.failOnce("pagedAttention", failure);

    HttpResponse<String> response = server.post(CHAT, chat("\"Another question.\"", ""));
    assertError(response, 500);
    assertThat(response.body()).doesNotContain("secret").doesNotContain("0x7f");
  }

  @ParameterizedTest
  @MethodSource("failures")
  void aCrashOfTheTowerIsAnError(Supplier<Throwable> failure) {
    FaultyBackend.failOnce("layerNorm", failure);

    String salted = chat(PICTURE, ",\"cache_salt\":\"" + failure.hashCode() + "\"");
    assertError(server.post(CHAT, salted), 500);
    assertThat(server.post(CHAT, salted).statusCode()).isEqualTo(200);
  }

  @Test
  void aCrashInTheMiddleIsTheLastEventOfTheStream() throws IOException {
    String body =
        chat("\"Go on.\"", ",\"stream\":true,\"min_tokens\":3000").replace(":8,", ":3000,");
    List<String> events = new ArrayList<>();
    try (Socket socket =
            server.open(
                "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    .formatted(CHAT, body.length(), body));
        BufferedReader lines =
            new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("data: ")) {
          events.add(line.substring("data: ".length()));
        }
        if (events.size() == 5) {
          FaultyBackend.failOnce("pagedAttention", () -> new DeviceException("a secret"));
          events.add("");
        }
      }
    }

    JsonNode last = json(events.getLast());
    assertThat(last.at("/error/type").asString()).isEqualTo("server_error");
    assertThat(last.at("/error/code").isString()).isTrue();
    assertThat(last.toString()).doesNotContain("secret");
    assertThat(events).doesNotContain("[DONE]");
  }

  /** A tower that would fail shows that it does not run. */
  @Test
  void aSecondTurnOverAPictureRunsNeitherTheTowerNorThePrefix() {
    String question = PICTURE.replace("}]", "},{\"type\":\"text\",\"text\":\"Which one is it?\"}]");
    String first = "{\"role\":\"user\",\"content\":%s}".formatted(question);
    String body = "{\"temperature\":0,\"max_tokens\":8,\"messages\":[%s]}";
    JsonNode answer = json(server.post(CHAT, body.formatted(first)).body());
    String said = answer.at("/choices/0/message/content").toString();
    String talk =
        first
            + ",{\"role\":\"assistant\",\"content\":"
            + said
            + "},{\"role\":\"user\",\"content\":\"And why?\"}";
    FaultyBackend.failOnce("layerNorm", () -> new DeviceException("the tower ran"));
    try {
      HttpResponse<String> second = server.post(CHAT, body.formatted(talk));

      assertThat(second.statusCode()).as(second.body()).isEqualTo(200);
      assertThat(FaultyBackend.hasFailed()).isFalse();
      int prompt = answer.at("/usage/prompt_tokens").asInt();
      assertThat(json(second.body()).at("/usage/prompt_tokens_details/cached_tokens").asInt())
          .isGreaterThanOrEqualTo(prompt / 16 * 16);
    } finally {
      FaultyBackend.failNever();
    }
  }

  private static String answer() {
    HttpResponse<String> response = server.post(CHAT, chat("\"What is this?\"", ""));
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    return json(response.body()).at("/choices/0/message/content").asString();
  }
}
