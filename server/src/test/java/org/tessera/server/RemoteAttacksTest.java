package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.TestServer.chat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Rows 1 to 3 of what has been done to such servers: pictures by URL, against a running server that
 * may fetch from {@code ok.example}. {@link RemotePicturesTest} has every case of the fetching
 * itself.
 */
class RemoteAttacksTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final Map<String, List<String>> NAMES =
      Map.of(
          "ok.example", List.of("93.184.215.14"),
          "rebound.example", List.of("93.184.215.14", "127.0.0.1"),
          "inside.example", List.of("169.254.169.254"));
  private static final List<String> dialled = new CopyOnWriteArrayList<>();
  private static final List<byte[]> answers = new CopyOnWriteArrayList<>();

  private static ServerSocket remote;
  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    remote = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.startVirtualThread(RemoteAttacksTest::serve);
    ServerOptions plain = TestServer.options(Optional.empty(), TestServer.smallLimits());
    server =
        TestServer.start(
            new ServerOptions(
                plain.host(),
                plain.port(),
                plain.apiKey(),
                plain.modelName(),
                plain.allowedOrigins(),
                plain.allowedHosts(),
                Set.of("ok.example", "rebound.example", "inside.example"),
                false,
                false,
                2048,
                plain.limits()),
            new Scripted());
  }

  @AfterAll
  static void stop() throws IOException {
    server.close();
    remote.close();
  }

  @BeforeEach
  void forget() {
    dialled.clear();
    answers.clear();
  }

  @AfterEach
  void isUnharmed() throws InterruptedException {
    server.assertUnharmed();
  }

  @Test
  void row01AnAllowedPictureIsFetchedFromTheAddressThatWasChecked() throws IOException {
    byte[] picture = Files.readAllBytes(TestServer.CONFORMANCE.resolve("images/small.png"));
    answers.add(answer("HTTP/1.1 200 OK\r\nContent-Length: " + picture.length, picture));

    assertThat(ask("https://ok.example/small.png").statusCode()).isEqualTo(200);
    assertThat(dialled).containsExactly("93.184.215.14");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0x7f000001/",
        "https://rebound.example/",
        "https://inside.example/",
        "https://localhost/",
        "https://ok.example:22/",
        "http://ok.example/"
      })
  void row01NothingInsideIsDialled(String url) {
    assertError(ask(url), 400);
    assertThat(dialled).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"http://169.254.169.254/", "https://inside.example/", "file:///etc/passwd"})
  void row01ARedirectInsideIsNotFollowed(String location) {
    answers.add(answer("HTTP/1.1 302 Found\r\nLocation: " + location, new byte[0]));

    assertError(ask("https://ok.example/"), 400);
    assertThat(dialled).containsExactly("93.184.215.14");
  }

  @Test
  void row01HugeAndChunkedAnswersAreCut() {
    answers.add(answer("HTTP/1.1 200 OK\r\nContent-Length: 99999999", new byte[10]));
    answers.add(answer("HTTP/1.1 200 OK", new byte[3 << 20]));
    byte[] chunks =
        ("10000\r\n" + "x".repeat(0x10000) + "\r\n").repeat(64).getBytes(StandardCharsets.US_ASCII);
    answers.add(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", chunks));
    answers.add(
        answer(
            "HTTP/1.1 200 OK\r\nContent-Length: 5", "hello".getBytes(StandardCharsets.US_ASCII)));

    for (int i = 0; i < 4; i++) {
      assertError(ask("https://ok.example/"), 400);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://ok.example\\\\@evil.example/",
        "https://ok.example@evil.example/",
        "https://evil.example\\\\.ok.example/",
        "https://ok.example%2f@evil.example/",
        "https://ok.example./",
        "https://ok\\u3002example/",
        "https://\\uff4fk.example/",
        "https://ok.example#@evil.example:22/",
        "https://evil.example/ok.example",
        "https:///ok.example/",
        "https://ok.example\\t.evil.example/",
        "\\\\\\\\ok.example/share"
      })
  void row02OneParserDecides(String url) {
    HttpResponse<String> response = ask(url);

    // Where the parser reads ok.example, that is what is dialled; otherwise nothing is.
    assertError(response, 400);
    assertThat(dialled).isSubsetOf("93.184.215.14");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "file:///etc/passwd",
        "/etc/passwd",
        "etc/passwd",
        "FILE:/etc/passwd",
        "file://localhost/etc/passwd",
        "../../etc/passwd",
        "/proc/self/environ",
        "C:\\\\\\\\windows\\\\\\\\win.ini",
        "netdoc:///etc/passwd",
        "data:image/png,/etc/passwd",
        "data:;file=/etc/passwd,",
        "blob:null/1"
      })
  void row03NoFileIsRead(String url) {
    HttpResponse<String> response = ask(url);

    assertError(response, 400);
    assertThat(response.body()).doesNotContain("root:").doesNotContain("No such file");
    assertThat(dialled).isEmpty();
  }

  private static HttpResponse<String> ask(String url) {
    return server.post(
        CHAT, chat("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"%s\"}}]".formatted(url), ""));
  }

  private static byte[] answer(String head, byte[] body) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes((head + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
    bytes.writeBytes(body);
    return bytes.toByteArray();
  }

  private static void serve() {
    for (int i = 0; !remote.isClosed(); i++) {
      try (Socket socket = remote.accept()) {
        socket.getInputStream().read(new byte[4096]);
        socket.getOutputStream().write(answers.removeFirst());
      } catch (IOException | RuntimeException e) {
        // The client has seen enough.
      }
    }
  }

  private static final class Scripted implements Internet {
    @Override
    public List<InetAddress> resolve(String host) throws IOException {
      List<InetAddress> addresses = new java.util.ArrayList<>();
      for (String address : NAMES.getOrDefault(host, List.of())) {
        addresses.add(InetAddress.getByName(address));
      }
      return addresses;
    }

    @Override
    public Connection connect(InetAddress address, int port, String host, int timeoutMillis)
        throws IOException {
      dialled.add(address.getHostAddress());
      Socket socket = new Socket(InetAddress.getLoopbackAddress(), remote.getLocalPort());
      return new Connection(socket, () -> socket);
    }
  }
}
