package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.TestServer.chat;
import static org.tessera.server.TestServer.dataUrl;
import static org.tessera.server.TestServer.json;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Rows 4 to 7 and 10 of what has been done to such servers: pictures, against a running one. */
class PictureAttacksTest {
  private static final String CHAT = "/v1/chat/completions";

  /** What a refusal by the header may take, and no decoding of a bomb does. */
  private static final Duration SOON = Duration.ofSeconds(2);

  /** Of the reference checkpoint: features of a slice. */
  private static final int QUERY_NUM = 64;

  private static TestServer server;

  @BeforeAll
  static void start() {
    server = TestServer.start(TestServer.options(Optional.empty(), TestServer.smallLimits()));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @AfterEach
  void isUnharmed() throws InterruptedException {
    server.assertUnharmed();
  }

  static Stream<byte[]> bombs() {
    return Stream.of(
        png(60_000, 60_000, new byte[0]),
        png(0x7fffffff, 0x7fffffff, new byte[0]),
        png(1000, 1001, new byte[0]),
        bytes("ffd8ffc0001108ffffffff03012200021101031101ffd9"),
        bytes("ffd8ffc2001110ffffffff03012200021101031101ffd9"),
        bytes("474946383961ffffffff80000000000000ffffff2c00000000ffffffff0002"),
        ByteBuffer.allocate(54)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put((byte) 'B')
            .put((byte) 'M')
            .putInt(54)
            .putInt(0)
            .putInt(54)
            .putInt(40)
            .putInt(100_000)
            .putInt(100_000)
            .putShort((short) 1)
            .putShort((short) 24)
            .array(),
        webp("VP8X", bytes("00000000ffffffffffff")),
        webp("VP8L", bytes("2fffffff0f0000000000")),
        webp("VP8 ", bytes("3001009d012affffffff00000000")),
        bytes(
            "49492a000800000003000001040001000000ffffff7f01010400010000"
                + "00ffffff7f03010300010000000100000000000000"));
  }

  @ParameterizedTest
  @MethodSource("bombs")
  void row04ABombOfAnyFormatIsRefusedByItsHeader(byte[] bomb) {
    long start = System.nanoTime();
    assertError(ask(dataUrl(bomb)), 400);
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(SOON);
  }

  @Test
  void row04PixelsBeyondTheHeadersAreNotInflated() {
    // 300 MB of zeros where the header says 16 x 16
    Deflater deflater = new Deflater(9);
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    byte[] zeros = new byte[1 << 20];
    byte[] buffer = new byte[1 << 16];
    for (int i = 0; i < 300; i++) {
      deflater.setInput(zeros);
      while (!deflater.needsInput()) {
        packed.write(buffer, 0, deflater.deflate(buffer));
      }
    }
    deflater.finish();
    while (!deflater.finished()) {
      packed.write(buffer, 0, deflater.deflate(buffer));
    }
    long start = System.nanoTime();

    assertThat(ask(dataUrl(png(16, 16, packed.toByteArray()))).statusCode()).isIn(200, 400);
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(SOON);
  }

  @Test
  void row04PicturesOfNoSizeAreRefused() {
    for (byte[] empty :
        List.of(
            png(0, 5, new byte[0]),
            png(5, 0, new byte[0]),
            bytes("ffd8ffc00011080000000003012200021101031101ffd9"),
            bytes("474946383961000000008000000000000000000021"),
            webp("VP8L", new byte[0]),
            new byte[0],
            new byte[] {(byte) 0x89, 'P', 'N', 'G'})) {
      assertError(ask(dataUrl(empty)), 400);
    }
  }

  @Test
  void row04OddAndCutPicturesAreAnsweredOrRefused() throws IOException {
    Path directory =
        Path.of(System.getProperty("project.root"), "core/src/test/resources/org/tessera/image");
    int answered = 0;
    int refused = 0;
    for (String name :
        List.of(
            "gray16.png",
            "rgba16.png",
            "cmyk.jpg",
            "ycck.jpg",
            "animated.png",
            "animated.webp",
            "six.gif",
            "tiled.tif",
            "rle.bmp",
            "lossy.webp",
            "progressive.jpg",
            "interlaced.gif")) {
      byte[] whole = Files.readAllBytes(directory.resolve(name));
      assertThat(ask(dataUrl(whole)).statusCode()).as(name).isEqualTo(200);
      for (int part = 1; part < 4; part++) {
        int status = ask(dataUrl(Arrays.copyOf(whole, whole.length * part / 4))).statusCode();
        assertThat(status).as(name).isIn(200, 400);
        answered += status == 200 ? 1 : 0;
        refused += status == 400 ? 1 : 0;
      }
    }
    assertThat(refused).isGreaterThan(answered);
  }

  @Test
  void row05ExtremeShapesHaveAPlaceholderForEveryFeature() throws IOException {
    Random random = new Random(5);
    int[][] shapes = {
      {1, 1},
      {1, 2},
      {2, 1},
      {1, 200},
      {200, 1},
      {1, 201},
      {201, 1},
      {13, 15},
      {14, 14},
      {448, 448},
      {449, 448},
      {5, 1000},
      {1000, 5},
      {3000, 300},
      {300, 3000},
      {999, 1001}
    };
    Stream<int[]> random20 =
        Stream.generate(() -> new int[] {1 + random.nextInt(1500), 1 + random.nextInt(600)})
            .limit(20);
    for (int[] shape : Stream.concat(Arrays.stream(shapes), random20).toList()) {
      String size = "{\"width\":%d,\"height\":%d}".formatted(shape[0], shape[1]);
      JsonNode plan = json(server.post("/v1/tessera/slices", size).body());
      var response = ask(dataUrl(picture(shape[0], shape[1])));
      boolean tooThin = Math.max(shape[0], shape[1]) > 200 * Math.min(shape[0], shape[1]);
      if (tooThin) {
        assertError(response, 400);
        continue;
      }
      assertThat(response.statusCode()).as(size).isEqualTo(200);
      int placeholders =
          json(response.body()).at("/usage/prompt_tokens_details/image_tokens").asInt();
      assertThat(placeholders).as(size).isEqualTo(plan.get("slices").asInt() * QUERY_NUM);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {CHAT, "/v1/responses", "/tokenize"})
  void row06FloodsAreRefusedOnEveryPath(String path) throws IOException {
    String name = path.equals("/v1/responses") ? "input" : "messages";
    String body = "{\"max_tokens\":1,\"" + name + "\":[{\"role\":\"user\",\"content\":[%s]}]}";
    String one = "{\"type\":\"image_url\",\"image_url\":\"%s\"}".formatted(dataUrl(picture(8, 8)));
    String video = "{\"type\":\"video_url\",\"video_url\":{\"url\":\"data:video/%s\"}}";
    String frame = dataUrl(picture(8, 8)).split(",", 2)[1];
    String two = video.formatted("jpeg;base64," + frame + "," + frame);
    byte[] gif =
        Files.readAllBytes(
            Path.of(
                System.getProperty("project.root"),
                "core/src/test/resources/org/tessera/image/long.gif"));

    for (String content :
        List.of(
            (one + ",").repeat(4) + one,
            video.formatted("jpeg;base64," + "AAAA,".repeat(5000)),
            video.formatted("jpeg;base64," + ",".repeat(100_000)),
            two + "," + two + "," + two,
            video.formatted("gif;base64," + java.util.Base64.getEncoder().encodeToString(gif)))) {
      assertError(server.post(path, body.formatted(content)), 413);
    }
    assertError(server.post(path, body.formatted("x".repeat(2 << 20))), 413);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0000000c6a5020200d0a870a00000014667479706a703220", // JPEG 2000
        "ff4fff51002f000000000001", // its codestream
        "000000186674797068656963", // HEIC
        "0000001c66747970617669660000", // AVIF
        "3c73766720786d6c6e733d22687474703a2f2f7777772e77332e6f72672f323030302f737667222f3e", // SVG
        "255044462d312e37", // PDF
        "0000001866747970697336d000", // MP4
        "1f8b08000000000000", // gzip
        "504b0304", // a zip
        "38425053000100" // PSD
      })
  void row07OtherFormatsReachNoDecoder(String hex) {
    var response = ask(dataUrl(bytes(hex)));

    assertError(response, 400);
    assertThat(response.body()).contains("JPEG, PNG, WebP, GIF, BMP");
  }

  @Test
  void row07DamageIsToldInOurOwnWords() throws IOException {
    Random random = new Random(7);
    byte[] picture = Files.readAllBytes(TestServer.DEMO.resolve("pictures/hearts.jpg"));
    for (int i = 0; i < 20; i++) {
      byte[] damaged = picture.clone();
      for (int j = 0; j < 40; j++) {
        damaged[2 + random.nextInt(damaged.length - 2)] = (byte) random.nextInt();
      }
      var response = ask(dataUrl(damaged));
      if (response.statusCode() != 200) {
        assertError(response, 400);
        assertThat(response.body())
            .doesNotContainPattern("0x[0-9a-f]{4}")
            .doesNotContain("javax", "java.", "sun.", "@");
      }
    }
  }

  @Test
  void row10PicturesThatLookAlikeToAHashAreTwo() throws IOException {
    byte[] indexes = new byte[64 * 32];
    new Random(10).nextBytes(indexes);
    byte[] red = palette(64, 32, indexes, 0xff0000);
    byte[] blue = palette(64, 32, indexes, 0x0000ff);
    byte[] turned = palette(32, 64, indexes, 0xff0000);
    assertThat(cached(red, "")).isLessThan(QUERY_NUM);
    assertThat(cached(red, "")).isGreaterThanOrEqualTo(QUERY_NUM);
    for (byte[] other : List.of(blue, turned)) {
      assertThat(cached(other, "")).isLessThan(QUERY_NUM);
    }
    byte[] large = picture(640, 640);
    assertThat(cached(large, "")).isLessThan(QUERY_NUM);
    assertThat(cached(large, ",\"max_slice_nums\":1")).isLessThan(QUERY_NUM);
    assertThat(cached(red, ",\"cache_salt\":\"another tenant\"")).isZero();
    assertThat(cached(red, ",\"cache_salt\":\"another tenant\"")).isGreaterThanOrEqualTo(QUERY_NUM);
  }

  private static int cached(byte[] picture, String fields) {
    var response =
        server.post(
            CHAT,
            chat(
                "[{\"type\":\"image_url\",\"image_url\":\"%s\"},{\"type\":\"text\",\"text\":\"What colour?\"}]"
                    .formatted(dataUrl(picture)),
                fields));
    assertThat(response.statusCode()).isEqualTo(200);
    return json(response.body()).at("/usage/prompt_tokens_details/cached_tokens").asInt();
  }

  private static java.net.http.HttpResponse<String> ask(String url) {
    return server.post(
        CHAT,
        chat("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"%s\"}}]".formatted(url), "")
            .replace(":8,", ":1,"));
  }

  private static byte[] picture(int width, int height) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int x = 0; x < width; x++) {
      image.setRGB(x, x % height, 0x3366cc);
    }
    return encoded(image);
  }

  /** The same indexes have the same bytes under any palette. */
  private static byte[] palette(int width, int height, byte[] indexes, int colour)
      throws IOException {
    int[] colours = new int[256];
    Arrays.setAll(colours, i -> i % 2 == 0 ? 0xffffff : colour);
    BufferedImage image =
        new BufferedImage(
            width,
            height,
            BufferedImage.TYPE_BYTE_INDEXED,
            new IndexColorModel(8, 256, colours, 0, false, -1, 0));
    image.getRaster().setDataElements(0, 0, width, height, indexes);
    return encoded(image);
  }

  private static byte[] encoded(BufferedImage image) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageIO.write(image, "png", out);
    return out.toByteArray();
  }

  private static byte[] png(int width, int height, byte[] pixels) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(bytes("89504e470d0a1a0a"));
    ByteBuffer header = ByteBuffer.allocate(13).putInt(width).putInt(height);
    chunk(out, "IHDR", header.put(bytes("0802000000")).array());
    chunk(out, "IDAT", pixels);
    chunk(out, "IEND", new byte[0]);
    return out.toByteArray();
  }

  private static void chunk(ByteArrayOutputStream out, String type, byte[] data) {
    CRC32 crc = new CRC32();
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    crc.update(name);
    crc.update(data);
    out.writeBytes(ByteBuffer.allocate(4).putInt(data.length).array());
    out.writeBytes(name);
    out.writeBytes(data);
    out.writeBytes(ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());
  }

  private static byte[] webp(String type, byte[] data) {
    return ByteBuffer.allocate(20 + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put("RIFF".getBytes(StandardCharsets.US_ASCII))
        .putInt(12 + data.length)
        .put("WEBP".getBytes(StandardCharsets.US_ASCII))
        .put(type.getBytes(StandardCharsets.US_ASCII))
        .putInt(data.length)
        .put(data)
        .array();
  }

  private static byte[] bytes(String hex) {
    return java.util.HexFormat.of().parseHex(hex);
  }
}
