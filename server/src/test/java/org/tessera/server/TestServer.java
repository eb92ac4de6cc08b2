package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.LoadOptions;
import org.tessera.api.Message;
import org.tessera.api.Tessera;
import org.tessera.api.TokenStream;
import org.tessera.error.OverloadedException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server over the reference checkpoint on a free port, and plain ways to talk to it. */
final class TestServer implements AutoCloseable {
  static final Path CONFORMANCE = Path.of(System.getProperty("project.root"), "conformance");
  static final Path DEMO = Path.of(System.getProperty("project.root"), "demo");
  static final JsonMapper JSON = new JsonMapper();

  private final Tessera tessera;
  private final TesseraServer server;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private TestServer(Tessera tessera, ServerOptions options, Internet internet) {
    this.tessera = tessera;
    this.server = TesseraServer.start(tessera, options, internet);
  }

  static TestServer start() {
    return start(options(Optional.empty(), ServerLimits.defaults()));
  }

  static TestServer start(ServerOptions options) {
    return start(options, Internet.real());
  }

  static TestServer start(ServerOptions options, Internet internet) {
    LoadOptions load =
        LoadOptions.defaults().withDevice("cpu").withContextTokens(4096).withMaxWaiting(8);
    return new TestServer(Tessera.load(CONFORMANCE.resolve("checkpoint"), load), options, internet);
  }

  static TestServer start(Path checkpoint, ServerOptions options) {
    return start(checkpoint, LoadOptions.defaults().withContextTokens(8192), options);
  }

  static TestServer start(Path checkpoint, LoadOptions load, ServerOptions options) {
    return startOn("cpu", checkpoint, load, options);
  }

  static TestServer startOn(
      String device, Path checkpoint, LoadOptions load, ServerOptions options) {
    return new TestServer(
        Tessera.load(checkpoint, load.withDevice(device)), options, Internet.real());
  }

  /** The model that ships, as {@code tessera serve} starts it, with an API key or without. */
  static TestServer demo(Optional<ApiKey> key) {
    return start(
        DEMO.resolve("model"),
        LoadOptions.defaults().withMaxWaiting(64),
        options(key, ServerLimits.defaults()));
  }

  static ServerOptions options(Optional<ApiKey> key, ServerLimits limits) {
    return new ServerOptions(
        "127.0.0.1",
        0,
        key,
        Optional.of("tiny"),
        Set.of("https://app.example"),
        Set.of(),
        Set.of(),
        false,
        true,
        2048,
        limits);
  }

  /** The defaults with smaller sizes and times, so that tests reach them. */
  static ServerLimits smallLimits() {
    ServerLimits d = ServerLimits.defaults();
    return new ServerLimits(
        d.maxConnections(),
        d.maxHeaderBytes(),
        1 << 20,
        d.maxBodyMemoryBytes(),
        d.maxJsonDepth(),
        4,
        3,
        1_000_000,
        d.maxPictureMemoryBytes(),
        d.maxSliceNums(),
        d.maxChoices(),
        d.maxStops(),
        d.maxStopChars(),
        1024,
        Duration.ofMillis(700),
        Duration.ofMillis(700),
        Duration.ofMillis(700),
        d.decodeTimeout(),
        d.fetchTimeout(),
        d.pingInterval(),
        Duration.ofSeconds(20));
  }

  /** Gives the engine all that it takes until the result is closed. */
  AutoCloseable fill() {
    GenerationOptions endless =
        GenerationOptions.sampling().withMaxNewTokens(8000).withMinNewTokens(8000);
    ChatRequest request = ChatRequest.of(Message.user("Go on.")).with(endless);
    List<TokenStream> streams = new ArrayList<>();
    try {
      while (true) {
        streams.add(tessera.stream(request));
      }
    } catch (OverloadedException e) {
      return () -> {
        streams.forEach(TokenStream::close);
        awaitIdle();
      };
    }
  }

  /** Waits until nothing runs and all blocks of the cache are given back. */
  void awaitIdle() throws InterruptedException {
    long end = System.nanoTime() + 20_000_000_000L;
    while (tessera.stats().running() + tessera.stats().waiting() > 0) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(5);
    }
    assertThat(tessera.stats().usedKvBlocks()).isZero();
  }

  Tessera tessera() {
    return tessera;
  }

  TesseraServer server() {
    return server;
  }

  String url(String path) {
    return "http://127.0.0.1:" + server.port() + path;
  }

  HttpResponse<String> get(String path, String... headers) {
    return send(request(path, headers).GET().build());
  }

  HttpResponse<String> post(String path, String body, String... headers) {
    return send(
        request(path, headers)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build());
  }

  HttpResponse<String> send(HttpRequest request) {
    try {
      return client.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new AssertionError(e);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  HttpRequest.Builder request(String path, String... headers) {
    HttpRequest.Builder builder =
        HttpRequest.newBuilder(URI.create(url(path))).timeout(Duration.ofSeconds(60));
    return headers.length == 0 ? builder : builder.headers(headers);
  }

  /** What the server says to these bytes until it closes the connection. */
  String raw(String bytes) throws IOException {
    try (Socket socket = open(bytes);
        InputStream in = socket.getInputStream()) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  Socket open(String bytes) throws IOException {
    Socket socket = new Socket("127.0.0.1", server.port());
    socket.setSoTimeout(20_000);
    socket.getOutputStream().write(bytes.getBytes(StandardCharsets.UTF_8));
    return socket;
  }

  static JsonNode json(String text) {
    return JSON.readTree(text);
  }

  static String dataUrl(String file) {
    return dataUrl(CONFORMANCE.resolve("images").resolve(file));
  }

  /** A picture of the demo. */
  static String demoUrl(String file) {
    return dataUrl(DEMO.resolve("pictures").resolve(file));
  }

  static String dataUrl(Path picture) {
    try {
      return dataUrl(Files.readAllBytes(picture));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  static String dataUrl(byte[] picture) {
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(picture);
  }

  /** After an attack: others are answered, nothing is held. */
  void assertUnharmed(String... headers) throws InterruptedException {
    assertThat(post("/v1/chat/completions", chat("\"x\"", ""), headers).statusCode())
        .isEqualTo(200);
    awaitIdle();
  }

  /** A chat request of one question with further fields, each with a comma before it. */
  static String chat(String content, String fields) {
    return """
    {"model":"tiny","temperature":0,"max_tokens":8,
     "messages":[{"role":"user","content":%s}]%s}\
    """
        .formatted(content, fields);
  }

  @Override
  public void close() {
    server.close();
    tessera.close();
  }
}
