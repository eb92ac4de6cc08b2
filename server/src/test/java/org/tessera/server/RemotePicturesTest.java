package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A local server that plays the internet behind a resolver that says what the test wants. */
class RemotePicturesTest {
  private static final String PUBLIC = "93.184.215.14";
  private static final int MAX_BYTES = 1000;

  private final Map<String, List<String>> names =
      Map.of(
          "ok.example", List.of(PUBLIC),
          "other.example", List.of("8.8.8.8"),
          "inside.example", List.of("10.0.0.1"),
          "mixed.example", List.of(PUBLIC, "127.0.0.1"));
  private final List<String> resolved = new CopyOnWriteArrayList<>();
  private final List<String> dialled = new CopyOnWriteArrayList<>();
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final List<String> answers = new ArrayList<>();
  private ServerSocket listener;

  @BeforeEach
  void listen() throws IOException {
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.startVirtualThread(this::serve);
  }

  @AfterEach
  void close() throws IOException {
    listener.close();
  }

  @Test
  void whatWasCheckedIsDialledAndFetched() {
    answers.add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

    assertThat(fetch("https://OK.example/a%20b/cat.png?size=2&x=%C3%A9"))
        .isEqualTo("hello".getBytes(StandardCharsets.US_ASCII));
    assertThat(resolved).containsExactly("ok.example");
    assertThat(dialled).containsExactly(PUBLIC + ":443");
    assertThat(requests.getFirst())
        .startsWith("GET /a%20b/cat.png?size=2&x=%C3%A9 HTTP/1.1\r\nHost: ok.example\r\n")
        .doesNotContain("Authorization");
  }

  @Test
  void chunksAndBodiesWithoutALengthAreRead() {
    answers.add(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n");
    answers.add("HTTP/1.1 200 OK\r\n\r\nfgh");

    assertThat(fetch("https://ok.example/")).asString().isEqualTo("abcde");
    assertThat(fetch("https://ok.example")).asString().isEqualTo("fgh");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://ok.example/x",
        "https://ok.example:8443/x",
        "https://user@ok.example/x",
        "https://ok.example@inside.example/x",
        "https://ok.example\\@inside.example/x",
        "https://ok.example./x",
        "https://not-allowed.example/x",
        "https://sub.ok.example/x",
        "https://ok.example.evil.example/x",
        "https://ok\u3002example/x",
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://[::1]/x",
        "https:///x",
        "https:ok.example",
        "ok.example/x",
        "file:///etc/passwd",
        "/etc/passwd",
        "https://ok.example/\r\nX: y",
        ""
      })
  void otherUrlsAreNeitherResolvedNorDialled(String url) {
    assertRefused(url);
    assertThat(resolved).isEmpty();
    assertThat(dialled).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"inside.example", "mixed.example"})
  void namesThatLeadInsideAreNotDialled(String host) {
    assertRefused("https://" + host + "/");
    assertThat(resolved).containsExactly(host);
    assertThat(dialled).isEmpty();
  }

  @Test
  void redirectsAreCheckedAgain() {
    answers.add("HTTP/1.1 302 Found\r\nLocation: https://other.example/y\r\n\r\n");
    answers.add("HTTP/1.1 307 T\r\nLocation: z\r\n\r\n");
    answers.add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

    assertThat(fetch("https://ok.example/x")).asString().isEqualTo("ok");
    assertThat(dialled).containsExactly(PUBLIC + ":443", "8.8.8.8:443", "8.8.8.8:443");
    assertThat(requests.getLast()).startsWith("GET /z ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "https://inside.example/",
        "http://ok.example/",
        "file:///etc/passwd",
        "//inside.example/",
        "",
        ":"
      })
  void aRedirectElsewhereIsRefused(String location) {
    answers.add("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\n\r\n");

    assertRefused("https://ok.example/x");
    assertThat(dialled).containsExactly(PUBLIC + ":443");
  }

  @Test
  void aCircleOfRedirectsEnds() {
    for (int i = 0; i < 10; i++) {
      answers.add("HTTP/1.1 301 M\r\nLocation: /again\r\n\r\n");
    }

    assertRefused("https://ok.example/x");
    assertThat(dialled).hasSize(4);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "HTTP/1.1 404 Not Found\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nless",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        ""
      })
  void strangeAnswersAreRefused(String answer) {
    answers.add(answer);

    assertRefused("https://ok.example/x");
  }

  @Test
  void largeAnswersAreCut() {
    answers.add("HTTP/1.1 200 OK\r\n\r\n" + "x".repeat(MAX_BYTES + 1));
    answers.add("HTTP/1.1 200 OK\r\nA: " + "x".repeat(20_000) + "\r\n\r\n");
    answers.add("HTTP/1.1 200 OK\r\n" + "A: b\r\n".repeat(200) + "\r\n");

    for (int i = 0; i < 3; i++) {
      assertRefused("https://ok.example/x");
    }
  }

  @Test
  void aServerThatDripsIsLeft() {
    answers.add("DRIP");

    long start = System.nanoTime();
    assertThatThrownBy(() -> fetch("https://ok.example/x")).hasMessageContaining("took longer");
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(10));
  }

  @Test
  void withoutAllowedHostsNothingIsFetched() {
    RemotePictures off =
        new RemotePictures(Set.of(), MAX_BYTES, Duration.ofSeconds(1), new Scripted());

    assertThatThrownBy(() -> off.fetch("image_url", "https://ok.example/x"))
        .isInstanceOf(ApiException.class)
        .hasMessageContaining("only data:");
    assertThat(resolved).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "0.0.0.0,false",
    "10.1.2.3,false",
    "100.64.0.1,false",
    "100.63.0.1,true",
    "127.0.0.1,false",
    "169.254.169.254,false",
    "172.16.0.1,false",
    "172.15.0.1,true",
    "172.32.0.1,true",
    "192.168.1.1,false",
    "198.18.0.1,false",
    "198.20.0.1,true",
    "224.0.0.1,false",
    "255.255.255.255,false",
    "8.8.8.8,true",
    "::1,false",
    "::,false",
    "::ffff:127.0.0.1,false",
    "::ffff:8.8.8.8,true",
    "::127.0.0.1,false",
    "64:ff9b::7f00:1,false",
    "fe80::1,false",
    "fc00::1,false",
    "ff02::1,false",
    "2002:7f00:1::,false",
    "2001::1,false",
    "2001:db8::1,false",
    "2606:2800:220:1::1,true",
    "fec0::1,false"
  })
  void onlyAddressesOfThePublicInternetCount(String address, boolean isPublic) throws IOException {
    assertThat(PublicAddresses.contains(InetAddress.getByName(address))).isEqualTo(isPublic);
  }

  private byte[] fetch(String url) {
    return new RemotePictures(
            Set.of("ok.example", "other.example", "inside.example", "mixed.example"),
            MAX_BYTES,
            Duration.ofSeconds(2),
            new Scripted())
        .fetch("image_url", url);
  }

  private void assertRefused(String url) {
    assertThatThrownBy(() -> fetch(url))
        .isInstanceOfSatisfying(ApiException.class, e -> assertThat(e.status()).isEqualTo(400))
        .hasMessageNotContaining("10.0.0.1");
  }

  private final class Scripted implements Internet {
    @Override
    public List<InetAddress> resolve(String host) throws IOException {
      resolved.add(host);
      List<InetAddress> addresses = new ArrayList<>();
      for (String address : names.getOrDefault(host, List.of())) {
        addresses.add(InetAddress.getByName(address));
      }
      return addresses;
    }

    @Override
    public Connection connect(InetAddress address, int port, String host, int timeoutMillis)
        throws IOException {
      dialled.add(address.getHostAddress() + ":" + port);
      Socket socket = new Socket(InetAddress.getLoopbackAddress(), listener.getLocalPort());
      return new Connection(socket, () -> socket);
    }
  }

  private void serve() {
    for (int i = 0; !listener.isClosed(); i++) {
      try (Socket socket = listener.accept()) {
        requests.add(head(socket.getInputStream()));
        OutputStream out = socket.getOutputStream();
        String answer = answers.get(i);
        if (answer.equals("DRIP")) {
          out.write("HTTP/1.1 200 OK\r\nX: ".getBytes(StandardCharsets.US_ASCII));
          for (int j = 0; j < 1000; j++) {
            out.write('x');
            out.flush();
            Thread.sleep(20);
          }
        }
        out.write(answer.getBytes(StandardCharsets.US_ASCII));
      } catch (IOException e) {
        // The client has seen enough.
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private static String head(InputStream in) throws IOException {
    StringBuilder head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int b = in.read();
      if (b < 0) {
        break;
      }
      head.append((char) b);
    }
    return head.toString();
  }
}
