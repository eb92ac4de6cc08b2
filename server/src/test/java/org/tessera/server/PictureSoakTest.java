package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.TestServer.chat;
import static org.tessera.server.TestServer.dataUrl;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

/**
 * Row 15 of what has been done to such servers: many different pictures through one of them. {@code
 * -Pload} sends 10,000; what that showed is in {@code docs/reliability.md}.
 */
class PictureSoakTest {
  private static final int PICTURES = Integer.getInteger("soak.pictures", 200);
  private static final int AT_A_TIME = 4;
  private static final long MB = 1 << 20;

  private static final System.Logger LOGGER = System.getLogger(PictureSoakTest.class.getName());

  @Test
  void row15MemoryStaysFlat() throws Exception {
    try (TestServer server = TestServer.demo(Optional.empty());
        ExecutorService clients = Executors.newFixedThreadPool(AT_A_TIME)) {
      int warmUp = Math.max(25, PICTURES / 10);
      send(server, clients, 0, warmUp);
      Footprint before = Footprint.measure(server);
      LOGGER.log(System.Logger.Level.INFO, "after {0} pictures: {1}", warmUp, before.toString());
      int step = Math.max(Math.min(PICTURES, 200), PICTURES / 5);
      Footprint after = before;
      for (int sent = 0; sent < PICTURES; sent += step) {
        send(server, clients, warmUp + sent, warmUp + sent + step);
        after = Footprint.measure(server);
        LOGGER.log(
            System.Logger.Level.INFO,
            "after {0} pictures: {1}",
            warmUp + sent + step,
            after.toString());
      }

      after.assertNear(before);
      assertThat(after.residentBytes() - before.residentBytes()).isLessThan(150 * MB);
    }
  }

  private static void send(TestServer server, ExecutorService clients, int from, int to)
      throws Exception {
    List<Future<HttpResponse<String>>> answers = new ArrayList<>();
    for (int i = from; i < to; i++) {
      int seed = i;
      Callable<HttpResponse<String>> ask =
          () ->
              server.post(
                  "/v1/chat/completions",
                  chat(
                          "[{\"type\":\"image_url\",\"image_url\":\"%s\"},{\"type\":\"text\",\"text\":\"What is it?\"}]"
                              .formatted(dataUrl(picture(seed))),
                          "")
                      .replace(":8,", ":2,"));
      answers.add(clients.submit(ask));
    }
    for (Future<HttpResponse<String>> answer : answers) {
      assertThat(answer.get().statusCode()).isEqualTo(200);
    }
  }

  private static byte[] picture(int seed) throws IOException {
    Random random = new Random(seed);
    BufferedImage image = new BufferedImage(64, 48, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < 64 * 48; i++) {
      image.setRGB(i % 64, i / 64, random.nextInt());
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageIO.write(image, "png", out);
    return out.toByteArray();
  }
}
