package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** {@code tessera serve} as a process: what it leaves behind, and what it survives. */
@EnabledOnOs(OS.LINUX)
class ServeProcessTest {
  private static final Path MODEL = Cli.PROJECT.resolve("demo/model");
  private static final String QUESTION =
      "[{\"type\":\"image_url\",\"image_url\":\"%s\"},{\"type\":\"text\",\"text\":\"What colour is the circle?\"}]";

  @TempDir Path temp;
  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final List<Process> started = new ArrayList<>();
  private Path home;
  private int port;

  @BeforeEach
  void prepare() throws IOException {
    assumeTrue(
        new Installation(java.util.Optional.of(Cli.PROJECT)).demoModel().isPresent(),
        "the demo model has no weights in demo/model");
    home = Files.createDirectory(temp.resolve("home"));
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
  }

  @AfterEach
  void end() throws InterruptedException {
    for (Process process : started) {
      process.destroyForcibly();
      process.waitFor();
    }
  }

  @Test
  void killedItLosesWhatRunsAndTerminatedItFinishesIt() throws Exception {
    Process first = serve("--port", String.valueOf(port));
    assertThat(announcement(first))
        .satisfiesExactly(
            line -> assertThat(line).isEqualTo("listening at http://127.0.0.1:" + port),
            line -> assertThat(line).startsWith("curl http://127.0.0.1:" + port));
    assertThat(askColour("red")).isEqualTo("The circle is red.");
    assertThat(listeningPorts(first.pid())).containsExactly(port);
    assertThat(filesOpenForWriting(first.pid())).isEmpty();
    try (Socket stream = stream(4000);
        BufferedReader lines = reader(stream)) {
      awaitText(lines);
      first.destroyForcibly(); // SIGKILL
      assertThat(rest(lines)).doesNotContain("data: [DONE]");
    }
    assertThat(first.waitFor()).isEqualTo(137);

    Process second = serve("--port", String.valueOf(port));
    announcement(second);
    assertThat(askColour("blue")).isEqualTo("The circle is blue.");
    try (Socket stream = stream(1500);
        BufferedReader lines = reader(stream)) {
      awaitText(lines);
      second.destroy(); // SIGTERM
      assertThat(rest(lines)).last().isEqualTo("data: [DONE]");
    }
    assertThat(second.waitFor(20, TimeUnit.SECONDS)).isTrue();
    assertThat(second.exitValue()).isEqualTo(143);
    org.assertj.core.api.Assertions.assertThatThrownBy(() -> new Socket("127.0.0.1", port).close())
        .isInstanceOf(ConnectException.class);

    // Neither of them wrote a thing where it ran, at home or where temporary files go.
    try (Stream<Path> left = Files.walk(home)) {
      assertThat(left).containsExactly(home);
    }
  }

  @Test
  void theCurlLineThatIsPrintedWorks() throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/curl")), "curl is not installed");
    Process server = serve("--port", "0");
    String line = announcement(server).getLast();
    Process curl = new ProcessBuilder("sh", "-c", line + " -sS").start();
    String answer = new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(new JsonMapper().readTree(answer).at("/choices/0/message/content").isString())
        .as(answer)
        .isTrue();
  }

  @Test
  void onAFullDiskItAnswers() throws Exception {
    // Every write to its log fails for want of room, and there is no place for temporary files.
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full), "there is no /dev/full");
    List<String> command =
        command(
            List.of("-Djava.io.tmpdir=" + home.resolve("nowhere")),
            "--port",
            String.valueOf(port),
            "--allow-video-files");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(full.toFile())
            .redirectError(full.toFile())
            .start();
    started.add(process);
    awaitReady();

    assertThat(askColour("red")).isEqualTo("The circle is red.");
    String video =
        Base64.getEncoder()
            .encodeToString("\0\0\0\030ftypisom0000isom0000".getBytes(StandardCharsets.ISO_8859_1));
    HttpResponse<String> noRoom =
        post(
            "[{\"type\":\"video_url\",\"video_url\":{\"url\":\"data:video/mp4;base64,%s\"}}]"
                .formatted(video));
    assertThat(noRoom.statusCode()).isEqualTo(400);
    assertThat(noRoom.body()).contains("no room for a temporary copy").doesNotContain("nowhere");
    assertThat(askColour("blue")).isEqualTo("The circle is blue.");
    assertThat(process.isAlive()).isTrue();
  }

  @Test
  void aCheckpointThatIsCutWhileItServesFailsItsRequestsOnly() throws Exception {
    Path model = Files.createDirectory(temp.resolve("model"));
    try (Stream<Path> files = Files.list(MODEL)) {
      for (Path file : files.toList()) {
        Files.copy(file, model.resolve(file.getFileName()));
      }
    }
    Process process = serve("--port", String.valueOf(port), "--model", model.toString());
    announcement(process);
    assertThat(askColour("red")).isEqualTo("The circle is red.");
    List<Path> weights;
    try (Stream<Path> files = Files.list(model)) {
      weights = files.filter(file -> file.toString().endsWith(".safetensors")).toList();
    }
    for (Path file : weights) {
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(100_000);
      }
    }

    HttpResponse<String> failed = post(QUESTION.formatted(picture("blue")));
    assertThat(failed.statusCode()).isEqualTo(500);
    assertThat(failed.headers().firstValue("x-should-retry")).hasValue("false");
    assertThat(failed.body()).doesNotContain(temp.toString());
    assertThat(process.isAlive()).isTrue();
    assertThat(get("/health").statusCode()).isEqualTo(200);

    for (Path file : weights) {
      ByteBuffer content = ByteBuffer.wrap(Files.readAllBytes(MODEL.resolve(file.getFileName())));
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.write(content);
      }
    }
    assertThat(askColour("blue")).isEqualTo("The circle is blue.");
    for (Path file : weights) {
      Files.delete(file); // what is mapped stays
    }
    assertThat(askColour("red")).isEqualTo("The circle is red.");
  }

  private Process serve(String... arguments) throws IOException {
    Process process =
        new ProcessBuilder(command(List.of("-Djava.io.tmpdir=" + home), arguments))
            .directory(home.toFile())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    started.add(process);
    return process;
  }

  private List<String> command(List<String> options, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseParallelGC",
            "-Xmx1g",
            "-XX:-UsePerfData",
            "-Duser.home=" + home,
            "-Dtessera.home=" + Cli.PROJECT.toAbsolutePath()));
    command.addAll(options);
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), Main.class.getName(), "serve"));
    command.addAll(List.of(arguments));
    command.addAll(List.of("--device", "cpu"));
    return command;
  }

  private List<String> announcement(Process process) throws IOException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    return List.of(lines.readLine(), lines.readLine());
  }

  private void awaitReady() throws InterruptedException {
    long end = System.nanoTime() + 60_000_000_000L;
    while (true) {
      try {
        assertThat(get("/ready").statusCode()).isEqualTo(200);
        return;
      } catch (AssertionError e) {
        assertThat(System.nanoTime()).isLessThan(end);
        Thread.sleep(50);
      }
    }
  }

  private String askColour(String colour) throws IOException {
    HttpResponse<String> response = post(QUESTION.formatted(picture(colour)));
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    return new JsonMapper()
        .readTree(response.body())
        .at("/choices/0/message/content")
        .asString()
        .strip();
  }

  private static String picture(String colour) throws IOException {
    byte[] bytes = Files.readAllBytes(Cli.PROJECT.resolve("demo/pictures/" + colour + ".png"));
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(bytes);
  }

  private HttpResponse<String> post(String content) {
    return send(
        request("/v1/chat/completions")
            .header("Content-Type", "application/json")
            .POST(
                HttpRequest.BodyPublishers.ofString(
                    "{\"temperature\":0,\"max_tokens\":24,\"messages\":[{\"role\":\"user\",\"content\":%s}]}"
                        .formatted(content)))
            .build());
  }

  private HttpResponse<String> get(String path) {
    return send(request(path).GET().build());
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
        .timeout(Duration.ofSeconds(30));
  }

  private HttpResponse<String> send(HttpRequest request) {
    try {
      return client.send(request, HttpResponse.BodyHandlers.ofString());
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** A stream of so many tokens. */
  private Socket stream(int tokens) throws IOException {
    String body =
        "{\"stream\":true,\"min_tokens\":%1$d,\"max_tokens\":%1$d,\"messages\":[{\"role\":\"user\",\"content\":\"Go on.\"}]}"
            .formatted(tokens);
    Socket socket = new Socket("127.0.0.1", port);
    socket.setSoTimeout(30_000);
    socket
        .getOutputStream()
        .write(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                .formatted(body.length(), body)
                .getBytes(StandardCharsets.US_ASCII));
    return socket;
  }

  private static BufferedReader reader(Socket socket) throws IOException {
    InputStream in = socket.getInputStream();
    return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
  }

  private static void awaitText(BufferedReader lines) throws IOException {
    for (int events = 0; events < 5; ) {
      String line = lines.readLine();
      assertThat(line).isNotNull();
      events += line.startsWith("data: ") ? 1 : 0;
    }
  }

  /** The events until the stream or the connection ends. */
  private static List<String> rest(BufferedReader lines) {
    List<String> events = new ArrayList<>();
    try {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("data: ")) {
          events.add(line);
        }
        if (line.equals("data: [DONE]")) {
          break;
        }
      }
    } catch (IOException e) {
      // Cut off.
    }
    return events;
  }

  /** Of this process, by what the kernel says. */
  private static List<Integer> listeningPorts(long pid) throws IOException {
    List<String> inodes = new ArrayList<>();
    for (Path target : descriptors(pid)) {
      String text = target.toString();
      if (text.contains("socket:[")) {
        inodes.add(text.replaceAll(".*socket:\\[([0-9]+)].*", "$1"));
      }
    }
    List<Integer> ports = new ArrayList<>();
    for (String table : List.of("tcp", "tcp6", "udp", "udp6")) {
      for (String line : Files.readAllLines(Path.of("/proc", String.valueOf(pid), "net", table))) {
        String[] fields = line.strip().split("\\s+");
        boolean listens =
            fields[3].equals("0A") || (table.startsWith("udp") && fields[3].equals("07"));
        if (listens && inodes.contains(fields[9])) {
          ports.add(Integer.parseInt(fields[1].substring(fields[1].lastIndexOf(':') + 1), 16));
        }
      }
    }
    return ports;
  }

  private static List<Path> filesOpenForWriting(long pid) throws IOException {
    List<Path> files = new ArrayList<>();
    try (Stream<Path> descriptors = Files.list(Path.of("/proc", String.valueOf(pid), "fd"))) {
      for (Path descriptor : descriptors.toList()) {
        Path info =
            Path.of("/proc", String.valueOf(pid), "fdinfo", descriptor.getFileName().toString());
        if (!Files.exists(descriptor, LinkOption.NOFOLLOW_LINKS)
            || !Files.isRegularFile(descriptor)) {
          continue;
        }
        int flags =
            Files.readAllLines(info).stream()
                .filter(line -> line.startsWith("flags:"))
                .mapToInt(line -> Integer.parseInt(line.substring(6).strip(), 8))
                .findFirst()
                .orElseThrow();
        if ((flags & 3) != 0) { // not O_RDONLY
          files.add(Files.readSymbolicLink(descriptor));
        }
      }
    }
    return files;
  }

  private static List<Path> descriptors(long pid) throws IOException {
    List<Path> targets = new ArrayList<>();
    try (Stream<Path> descriptors = Files.list(Path.of("/proc", String.valueOf(pid), "fd"))) {
      for (Path descriptor : descriptors.toList()) {
        if (Files.isSymbolicLink(descriptor)) {
          targets.add(Files.readSymbolicLink(descriptor));
        }
      }
    }
    return targets;
  }
}
