package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.TestServer.chat;

import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;

/** Too much at once, the end of a server, and what it leaves in the log. */
class LoadAndCloseTest {
  private static final String CHAT = "/v1/chat/completions";

  @Test
  void closingLetsAStreamFinish() throws Exception {
    TestServer server = TestServer.start();
    String body = chat("\"Go on.\"", ",\"stream\":true").replace(":8,", ":200,");
    CompletableFuture<HttpResponse<String>> running =
        CompletableFuture.supplyAsync(() -> server.post(CHAT, body));
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (server.tessera().stats().running() == 0 && !running.isDone()) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(1);
    }

    server.close();

    assertThat(running.get(30, TimeUnit.SECONDS).body()).endsWith("data: [DONE]\n\n");
  }

  @Test
  void aFullQueueIs429WithRetryAfter() throws Exception {
    try (TestServer server = TestServer.start()) {
      // 64 run and 8 wait: twelve times eight answers are more.
      String body = chat("\"Go on.\"", ",\"n\":8").replace("\"max_tokens\":8", "\"max_tokens\":64");
      List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        CompletableFuture<HttpResponse<String>> answer = new CompletableFuture<>();
        Thread.startVirtualThread(() -> answer.complete(server.post(CHAT, body)));
        answers.add(answer);
      }
      int refused = 0;
      for (CompletableFuture<HttpResponse<String>> answer : answers) {
        HttpResponse<String> response = answer.get(120, TimeUnit.SECONDS);
        if (response.statusCode() != 200) {
          assertError(response, 429);
          assertThat(response.headers().firstValue("retry-after")).hasValue("1");
          refused++;
        }
      }
      assertThat(refused).isBetween(1, 11);
      assertThat(server.post(CHAT, chat("\"x\"", "")).statusCode()).isEqualTo(200);
    }
  }

  @Test
  void theLogHoldsNoPromptPictureOrKey() {
    ConcurrentLinkedQueue<String> log = new ConcurrentLinkedQueue<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            log.add(record.getMessage() + " " + record.getThrown());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    handler.setLevel(Level.ALL);
    Logger root = Logger.getLogger("");
    root.addHandler(handler);
    try (TestServer server = TestServer.start()) {
      server.post(CHAT, chat("\"my-secret-prompt\"", ""), "Authorization", "Bearer my-secret-key");
      server.post(CHAT, "{\"my-secret-prompt\":", "Authorization", "Bearer my-secret-key");
      server.post(CHAT, chat("[{\"type\":\"image_url\",\"image_url\":\"my-secret-url\"}]", ""));
      server.get("/v1/my-secret-path?my-secret-query");
    } finally {
      root.removeHandler(handler);
    }

    assertThat(log).isNotEmpty().noneMatch(line -> line.contains("my-secret"));
  }
}
