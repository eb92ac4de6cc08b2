package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** What the page is made of, and what it asks the server beside answers. */
class PageTest {
  private static final Pattern LINK = Pattern.compile("(?:href|src)=\"([^\"]+)\"");
  private static final Pattern IMPORT = Pattern.compile("from '\\./([a-z]+\\.js)'");
  private static TestServer server;

  @BeforeAll
  static void start() {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void allThatThePageNamesIsServedUnderAStrictPolicy() {
    HttpResponse<String> page = server.get("/");
    assertThat(page.statusCode()).isEqualTo(200);
    assertThat(page.headers().firstValue("content-type")).hasValue("text/html; charset=utf-8");
    assertThat(page.headers().firstValue("content-security-policy").orElseThrow())
        .contains("default-src 'none'", "script-src 'self'", "style-src 'self'")
        .doesNotContain("unsafe", "http:", "https:");
    assertThat(page.body()).doesNotContain("style=", "<style", "onclick", "http://", "https://");

    List<String> linked = LINK.matcher(page.body()).results().map(m -> m.group(1)).toList();
    assertThat(linked).contains("app.js", "base.css", "logo.svg");
    for (String path : linked) {
      assertThat(server.get("/" + path).statusCode()).as(path).isEqualTo(200);
    }
    List<String> imported =
        IMPORT.matcher(server.get("/app.js").body()).results().map(m -> m.group(1)).toList();
    assertThat(imported).contains("api.js", "store.js");
    for (String path : imported) {
      HttpResponse<String> script = server.get("/" + path);
      assertThat(script.headers().firstValue("content-type"))
          .as(path)
          .hasValue("text/javascript; charset=utf-8");
      assertThat(script.body()).as(path).doesNotContain("innerHTML", "insertAdjacentHTML", "eval(");
    }
  }

  @Test
  void devicesSayWhatLiesOnThem() {
    JsonNode state = TestServer.json(server.get("/v1/tessera/devices").body());

    JsonNode device = state.at("/devices/0");
    assertThat(device.path("id").stringValue()).isEqualTo("cpu");
    assertThat(device.path("total_bytes").longValue())
        .isGreaterThan(device.path("free_bytes").longValue());
    assertThat(device.at("/modules/0").stringValue()).isEmpty();
    assertThat(state.at("/model/weight_bytes").longValue())
        .isEqualTo(server.tessera().info().weightBytes());
    assertThat(state.at("/model/context_tokens").intValue()).isEqualTo(4096);
    assertThat(state.at("/engine/kv_blocks").intValue()).isPositive();
    assertThat(state.at("/engine/used_kv_blocks").intValue()).isZero();
    assertThat(state.at("/host/heap_bytes").longValue())
        .isPositive()
        .isLessThanOrEqualTo(state.at("/host/max_heap_bytes").longValue());
  }

  @Test
  void slicesAreThoseOfARequest() {
    JsonNode wide = slices("{\"width\":1600,\"height\":800,\"max_slice_nums\":4}");
    JsonNode whole = slices("{\"width\":1600,\"height\":800,\"max_slice_nums\":1}");
    JsonNode frame = slices("{\"width\":1600,\"height\":800,\"video\":true}");

    assertThat(wide.path("slices").intValue())
        .isEqualTo(1 + wide.path("columns").intValue() * wide.path("rows").intValue());
    assertThat(wide.path("columns").intValue()).isGreaterThan(wide.path("rows").intValue());
    assertThat(wide.path("image_tokens").intValue())
        .isEqualTo(wide.path("slices").intValue() * whole.path("image_tokens").intValue());
    assertThat(whole.path("slices").intValue()).isEqualTo(1);
    assertThat(whole.has("slice")).isFalse();
    assertThat(frame.path("columns").intValue()).isEqualTo(2);
    assertThat(frame.path("rows").intValue()).isEqualTo(1);
  }

  @Test
  void slicesRefuseWhatIsNoSize() {
    for (String body :
        List.of("{}", "{\"width\":0,\"height\":1}", "{\"width\":70000,\"height\":1}")) {
      HttpResponse<String> refused = server.post("/v1/tessera/slices", body);
      assertThat(refused.statusCode()).as(body).isEqualTo(400);
      assertThat(TestServer.json(refused.body()).at("/error/param").isNull()).isFalse();
    }
  }

  @Test
  void browsersAreAskedForTheKeyAndSendItAsAPassword() {
    try (TestServer locked =
        TestServer.start(
            TestServer.options(Optional.of(ApiKey.of("a-secret:key")), TestServer.smallLimits()))) {
      assertThat(locked.get("/").headers().firstValue("www-authenticate").orElseThrow())
          .startsWith("Basic realm=");
      assertThat(locked.get("/app.js").headers().firstValue("www-authenticate")).hasValue("Bearer");
      assertThat(status(locked, basic("me:a-secret:key"))).isEqualTo(200);
      assertThat(status(locked, basic(":a-secret:key"))).isEqualTo(200);
      assertThat(status(locked, basic("me:wrong"))).isEqualTo(401);
      assertThat(status(locked, basic("a-secret:key"))).isEqualTo(401);
      assertThat(status(locked, "Basic %%%")).isEqualTo(401);
    }
  }

  private static int status(TestServer locked, String authorization) {
    return locked.get("/", "Authorization", authorization).statusCode();
  }

  private static String basic(String pair) {
    return "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
  }

  private static JsonNode slices(String body) {
    HttpResponse<String> response = server.post("/v1/tessera/slices", body);
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    return TestServer.json(response.body());
  }
}
