package org.tessera.server;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
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
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A crowd of streaming clients of a server on this machine, in a process of its own: each asks,
 * reads to the end, hangs up in the middle or breaks its connection, and asks again, until the time
 * is over. Checks all that it hears; what it found is one line of JSON. Ends by itself.
 *
 * <p>Arguments: port, clients, seconds, directory of the demo's pictures.
 */
final class LoadGenerator {
  private static final int MAX_CLIENTS = 1000;
  private static final int MAX_SECONDS = 600;

  /** For answers under way when the time is over. */
  private static final int END_SECONDS = 90;

  private static final int LONG_TOKENS = 64;
  private static final int SEEDS = 8;

  /** With fewer tokens a stream says nothing about its rhythm. */
  private static final int LEAST_GAPS = 16;

  private final JsonMapper json = new JsonMapper();
  private final HttpClient http =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(20))
          .build();
  private final int port;
  private final long endNanos;
  private final Map<String, String> pictures;

  /** What the first answer to a question was: every later one must be the same. */
  private final Map<String, String> answers = new ConcurrentHashMap<>();

  private final AtomicInteger finished = new AtomicInteger();
  private final AtomicInteger cancelled = new AtomicInteger();
  private final AtomicInteger disconnected = new AtomicInteger();
  private final AtomicInteger refused = new AtomicInteger();
  private final AtomicInteger open = new AtomicInteger();
  private final AtomicInteger mostOpen = new AtomicInteger();
  private final AtomicLong tokens = new AtomicLong();
  private final Queue<String> errors = new ConcurrentLinkedQueue<>();
  private final Queue<double[]> gapsOverMedian = new ConcurrentLinkedQueue<>();
  private final Queue<Double> medians = new ConcurrentLinkedQueue<>();
  private final Queue<Double> firstTokenMillis = new ConcurrentLinkedQueue<>();

  private LoadGenerator(int port, int seconds, Path pictureDir) throws IOException {
    this.port = port;
    endNanos = System.nanoTime() + seconds * 1_000_000_000L;
    pictures = Map.of("red", url(pictureDir, "red.png"), "blue", url(pictureDir, "blue.png"));
  }

  @SuppressWarnings("SystemOut") // its report
  static void main(String[] arguments) throws Exception {
    int clients = Integer.parseInt(arguments[1]);
    int seconds = Integer.parseInt(arguments[2]);
    if (clients > MAX_CLIENTS || seconds > MAX_SECONDS) {
      throw new IllegalArgumentException("too many clients or seconds");
    }
    stopAfter(seconds + END_SECONDS);
    LoadGenerator load =
        new LoadGenerator(Integer.parseInt(arguments[0]), seconds, Path.of(arguments[3]));
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < clients; i++) {
      Random random = new Random(i);
      threads.add(Thread.startVirtualThread(() -> load.ask(random)));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    System.out.println(load.report());
    System.exit(0);
  }

  private static void stopAfter(int seconds) {
    Thread watch =
        new Thread(() -> {
          try {
            Thread.sleep(Duration.ofSeconds(seconds));
            Runtime.getRuntime().halt(3);
          } catch (InterruptedException e) {
            // Nobody does.
          }
        });
    watch.setDaemon(true);
    watch.start();
  }

  private static String url(Path directory, String file) throws IOException {
    byte[] bytes = Files.readAllBytes(directory.resolve(file));
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(bytes);
  }

  private void ask(Random random) {
    while (System.nanoTime() < endNanos) {
      try {
        int kind = random.nextInt(100);
        if (kind < 50) {
          read(random, longQuestion(random), Integer.MAX_VALUE);
        } else if (kind < 70) {
          read(random, pictureQuestion(random), Integer.MAX_VALUE);
        } else if (kind < 85) {
          read(random, longQuestion(random), 1 + random.nextInt(30));
        } else {
          breakOff(random);
        }
      } catch (IOException | RuntimeException e) {
        errors.add(String.valueOf(e));
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** A request and what its answer must be; null where the first answer says. */
  private record Question(String body, String key, String answer, int tokens) {}

  private Question longQuestion(Random random) {
    int seed = random.nextInt(SEEDS);
    String body =
        """
        {"messages":[{"role":"user","content":"Tell me a story, number %d."}],"temperature":1,
         "seed":%d,"min_tokens":%d,"max_tokens":%d,
         "stream":true,"stream_options":{"include_usage":true}}\
        """
            .formatted(seed, seed, LONG_TOKENS, LONG_TOKENS);
    return new Question(body, "seed " + seed, null, LONG_TOKENS);
  }

  private Question pictureQuestion(Random random) {
    String colour = random.nextBoolean() ? "red" : "blue";
    String body =
        """
        {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"%s"}},
         {"type":"text","text":"What colour is the circle?"}]}],"temperature":0,"max_tokens":24,
         "cache_salt":"%d","stream":true,"stream_options":{"include_usage":true}}\
        """
            .formatted(pictures.get(colour), random.nextInt(1 << 20));
    return new Question(body, colour, "The circle is " + colour + ".", 0);
  }

  /** Reads a stream to its end, or hangs up after so many tokens. */
  private void read(Random random, Question question, int hangUpAfter)
      throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/v1/chat/completions"))
            .header("Content-Type", "application/json")
            .timeout(Duration.ofSeconds(END_SECONDS))
            .POST(HttpRequest.BodyPublishers.ofString(question.body()))
            .build();
    long start = System.nanoTime();
    HttpResponse<InputStream> response =
        http.send(request, HttpResponse.BodyHandlers.ofInputStream());
    try (InputStream in = response.body()) {
      if (response.statusCode() == 429) {
        refused.incrementAndGet();
        in.readAllBytes();
        int seconds = Integer.parseInt(response.headers().firstValue("retry-after").orElseThrow());
        Thread.sleep(seconds * 1000L + random.nextInt(1000));
        return;
      }
      if (response.statusCode() != 200) {
        String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
        throw new IOException("status " + response.statusCode() + ": " + text);
      }
      mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
      try {
        stream(question, in, hangUpAfter, start);
      } finally {
        open.decrementAndGet();
      }
    }
  }

  private void stream(Question question, InputStream in, int hangUpAfter, long start)
      throws IOException {
    StringBuilder text = new StringBuilder();
    List<Long> times = new ArrayList<>();
    String reason = null;
    JsonNode usage = null;
    boolean done = false;
    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.isEmpty() || line.startsWith(":")) {
        continue;
      }
      require(line.startsWith("data: ") && !done, "an odd line: " + line);
      if (line.equals("data: [DONE]")) {
        done = true;
        continue;
      }
      JsonNode chunk = json.readTree(line.substring("data: ".length()));
      require(!chunk.has("error"), "a failure in the stream: " + line);
      if (chunk.get("choices").isEmpty()) {
        usage = chunk.get("usage");
        continue;
      }
      JsonNode choice = chunk.at("/choices/0");
      String content = choice.at("/delta/content").asString("");
      if (!content.isEmpty()) {
        require(reason == null, "text after the end");
        times.add(System.nanoTime());
        text.append(content);
      }
      if (!choice.get("finish_reason").isNull()) {
        require(reason == null, "a second end");
        reason = choice.get("finish_reason").asString();
      }
      if (times.size() >= hangUpAfter) {
        note(times, start);
        cancelled.incrementAndGet();
        return;
      }
    }
    require(done && reason != null && usage != null, "a stream was cut off");
    int completion = usage.at("/completion_tokens").asInt();
    require(completion > 0 && (question.tokens() == 0 || completion == question.tokens()), "usage");
    String expected =
        question.answer() != null
            ? question.answer()
            : answers.computeIfAbsent(question.key(), key -> text.toString());
    require(
        text.toString().strip().equals(expected.strip()),
        question.key() + ": \"" + text + "\" is not \"" + expected + "\"");
    tokens.addAndGet(completion);
    note(times, start);
    finished.incrementAndGet();
  }

  /** How the times between the tokens of a stream relate to their median. */
  private void note(List<Long> times, long start) {
    if (!times.isEmpty()) {
      firstTokenMillis.add((times.getFirst() - start) / 1e6);
    }
    if (times.size() <= LEAST_GAPS) {
      return;
    }
    double[] gaps = new double[times.size() - 1];
    for (int i = 0; i < gaps.length; i++) {
      gaps[i] = (times.get(i + 1) - times.get(i)) / 1e6;
    }
    double median = quantile(gaps, 0.5);
    medians.add(median);
    gapsOverMedian.add(Arrays.stream(gaps).map(gap -> gap / median).toArray());
  }

  /** Sends a request and breaks the connection, before the answer or in the middle of it. */
  private void breakOff(Random random) throws IOException, InterruptedException {
    byte[] body = longQuestion(random).body().getBytes(StandardCharsets.UTF_8);
    String head =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            .formatted(body.length);
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
      socket.getOutputStream().write(body, 0, random.nextInt(4) == 0 ? 20 : body.length);
      Thread.sleep(random.nextInt(2000));
      socket.setSoLinger(true, 0); // closing sends a reset
    }
    disconnected.incrementAndGet();
  }

  private static void require(boolean condition, String otherwise) throws IOException {
    if (!condition) {
      throw new IOException(otherwise);
    }
  }

  private String report() {
    double[] ratios = gapsOverMedian.stream().flatMapToDouble(Arrays::stream).toArray();
    ObjectNode report =
        json.createObjectNode()
            .put("finished", finished.get())
            .put("cancelled", cancelled.get())
            .put("disconnected", disconnected.get())
            .put("refused", refused.get())
            .put("most_open", mostOpen.get())
            .put("tokens", tokens.get())
            .put("gaps", ratios.length)
            .put("gap_median_ms", quantile(doubles(medians), 0.5))
            .put("gap_over_median_p50", quantile(ratios, 0.5))
            .put("gap_over_median_p99", quantile(ratios, 0.99))
            .put("gap_over_median_max", quantile(ratios, 1))
            .put("first_token_p50_ms", quantile(doubles(firstTokenMillis), 0.5))
            .put("first_token_p99_ms", quantile(doubles(firstTokenMillis), 0.99))
            .put("error_count", errors.size());
    errors.stream().distinct().limit(10).forEach(report.putArray("errors")::add);
    return report.toString();
  }

  private static double[] doubles(Queue<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }

  /** The smallest value that a share {@code q} of all is not above; 0 of none. */
  private static double quantile(double[] values, double q) {
    if (values.length == 0) {
      return 0;
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[Math.max(0, (int) Math.ceil(q * sorted.length) - 1)];
  }
}
