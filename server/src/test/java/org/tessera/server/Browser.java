package org.tessera.server;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** A headless Chromium, driven through chromedriver by the W3C's WebDriver protocol. */
final class Browser implements AutoCloseable {
  private static final Pattern STARTED = Pattern.compile("started successfully on port (\\d+)");
  private static final Duration PATIENCE = Duration.ofSeconds(120);

  private final Process driver;
  private final HttpClient client = HttpClient.newHttpClient();
  private final String session;

  private Browser(Process driver, int port, List<String> arguments, Map<String, Object> options) {
    this.driver = driver;
    Map<String, Object> chrome = new HashMap<>(options);
    chrome.put("binary", program("chromium").orElseThrow().toString());
    chrome.put("args", arguments);
    JsonNode made =
        send(
            "POST",
            "http://127.0.0.1:%d/session".formatted(port),
            Map.of(
                "capabilities",
                Map.of(
                    "alwaysMatch",
                    Map.of(
                        "goog:chromeOptions",
                        chrome,
                        "goog:loggingPrefs",
                        Map.of("browser", "ALL")))));
    session =
        "http://127.0.0.1:%d/session/%s".formatted(port, made.path("sessionId").stringValue());
  }

  /** What is missing on this machine to run one; empty where nothing is. */
  static Optional<String> missing() {
    return List.of("chromium", "chromedriver").stream()
        .filter(name -> program(name).isEmpty())
        .reduce((a, b) -> a + " and " + b)
        .map(names -> names + " not found on the PATH");
  }

  private static Optional<Path> program(String name) {
    return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .map(directory -> Path.of(directory, name))
        .filter(Files::isExecutable)
        .findFirst();
  }

  static Browser desktop(int width, int height) throws IOException {
    return start(width, height, Map.of());
  }

  static Browser phone(int width, int height) throws IOException {
    Map<String, Object> metrics =
        Map.of("width", width, "height", height, "pixelRatio", 2, "touch", true);
    return start(width, height, Map.of("mobileEmulation", Map.of("deviceMetrics", metrics)));
  }

  private static Browser start(int width, int height, Map<String, Object> options)
      throws IOException {
    Process driver =
        new ProcessBuilder(program("chromedriver").orElseThrow().toString(), "--port=0")
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      // Containers have no user namespaces for the sandbox and little shared memory; the only
      // pages shown are this server's.
      List<String> arguments = new ArrayList<>();
      arguments.add("--headless=new");
      arguments.add("--no-sandbox");
      arguments.add("--disable-dev-shm-usage");
      arguments.add("--disable-gpu");
      arguments.add("--hide-scrollbars");
      arguments.add("--window-size=%d,%d".formatted(width, height));
      return new Browser(driver, port(driver), arguments, options);
    } catch (RuntimeException | IOException | Error e) {
      driver.destroy();
      throw e;
    }
  }

  private static int port(Process driver) throws IOException {
    BufferedReader lines = driver.inputReader(StandardCharsets.UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      Matcher started = STARTED.matcher(line);
      if (started.find()) {
        return Integer.parseInt(started.group(1));
      }
    }
    throw new IOException("chromedriver did not start");
  }

  void open(String url) {
    send("POST", session + "/url", Map.of("url", url));
  }

  void reload() {
    send("POST", session + "/refresh", Map.of());
  }

  void click(String css) {
    send("POST", element(css) + "/click", Map.of());
  }

  /** Types a text, or gives a file to a field for files. */
  void type(String css, String text) {
    send("POST", element(css) + "/value", Map.of("text", text));
  }

  private String element(String css) {
    JsonNode found =
        send("POST", session + "/element", Map.of("using", "css selector", "value", css));
    return session + "/element/" + found.values().iterator().next().stringValue();
  }

  /** The result of a function's body. */
  JsonNode run(String script, Object... arguments) {
    return send("POST", session + "/execute/sync", Map.of("script", script, "args", arguments));
  }

  /** The result of an async function's body. */
  JsonNode await(String script, Object... arguments) {
    return send(
        "POST",
        session + "/execute/sync",
        Map.of(
            "script",
            "const given = arguments; return (async () => {" + script + "})()",
            "args",
            arguments));
  }

  String text(String css) {
    return run("return document.querySelector(arguments[0])?.innerText ?? ''", css).stringValue();
  }

  int count(String css) {
    return run("return document.querySelectorAll(arguments[0]).length", css).intValue();
  }

  /** Waits until an expression is true. */
  void until(String expression) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!run("return Boolean(" + expression + ")").booleanValue()) {
      if (System.nanoTime() > end) {
        throw new AssertionError(
            "never came true: " + expression + "; the page says: " + text("body"));
      }
      try {
        Thread.sleep(50);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  /** Pretends that the system prefers light or dark. */
  void prefer(String scheme) {
    send(
        "POST",
        session + "/goog/cdp/execute",
        Map.of(
            "cmd",
            "Emulation.setEmulatedMedia",
            "params",
            Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme)))));
  }

  void screenshot(Path file) throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    String base64 = send("GET", session + "/screenshot", null).stringValue();
    Files.write(file, Base64.getDecoder().decode(base64));
  }

  /** Errors on the console since the last time: scripts that failed, what the policy refused. */
  String errors() {
    List<String> errors = new ArrayList<>();
    for (JsonNode entry : send("POST", session + "/se/log", Map.of("type", "browser")).values()) {
      if (entry.path("level").asString().equals("SEVERE")) {
        errors.add(entry.path("message").asString());
      }
    }
    return errors.stream().collect(Collectors.joining("\n"));
  }

  private JsonNode send(String method, String url, @Nullable Object body) {
    HttpRequest.BodyPublisher content =
        body == null
            ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.ofString(TestServer.JSON.writeValueAsString(body));
    try {
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(URI.create(url))
                  .timeout(PATIENCE)
                  .header("Content-Type", "application/json")
                  .method(method, content)
                  .build(),
              HttpResponse.BodyHandlers.ofString());
      JsonNode value = TestServer.json(response.body()).path("value");
      if (response.statusCode() != 200) {
        throw new AssertionError("WebDriver: " + value.path("message").asString());
      }
      return value;
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    try {
      send("DELETE", session, null);
    } finally {
      driver.destroy();
    }
  }
}
