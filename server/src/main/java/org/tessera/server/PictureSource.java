package org.tessera.server;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.tessera.api.Image;
import org.tessera.image.ImageDecoder;
import org.tessera.image.ImageLimits;
import org.tessera.image.VideoFrames;

/** Pictures and video frames from the URLs of requests. */
final class PictureSource {
  private static final String DATA = "data:";

  /** Of MiniCPM-V, whose slices have an area of about 448 times 448 pixels. */
  private static final long SLICE_PIXELS = 448 * 448;

  private static final long SLICE_BYTES = SLICE_PIXELS * 3 * Float.BYTES;
  private static final int MAX_SIDE_PIXELS = 65_535;
  private static final int MAX_ASPECT_RATIO = 200;

  private final ServerOptions options;
  private final ServerMetrics metrics;
  private final ImageLimits limits;
  private final MemoryBudget budget;
  private final RemotePictures remote;

  /** Decoding is work for cores: as many at a time as there are, on threads of their own. */
  private final ExecutorService decoders;

  PictureSource(ServerOptions options, ServerMetrics metrics, Internet internet) {
    this.options = options;
    this.metrics = metrics;
    limits =
        new ImageLimits(
            options.limits().maxBodyBytes(),
            options.limits().maxPicturePixels(),
            MAX_SIDE_PIXELS,
            MAX_ASPECT_RATIO);
    remote =
        new RemotePictures(
            options.allowedImageHosts(),
            options.limits().maxBodyBytes(),
            options.limits().fetchTimeout(),
            internet);
    budget = new MemoryBudget("pictures", options.limits().maxPictureMemoryBytes());
    decoders =
        Executors.newFixedThreadPool(
            Runtime.getRuntime().availableProcessors(),
            Thread.ofPlatform().daemon().name("tessera-decode-", 0).factory());
  }

  /** To be closed when the request ends. */
  PictureMemory memory() {
    return new PictureMemory(budget);
  }

  /**
   * The picture that a URL holds, decoded.
   *
   * @param param the field that it came in
   */
  Image picture(String param, String url, PictureMemory memory) {
    byte[] bytes;
    if (url.regionMatches(true, 0, DATA, 0, DATA.length())) {
      bytes = data(param, url).bytes();
    } else {
      bytes = remote.fetch(param, url);
      memory.take(bytes.length);
    }
    return decode(memory, new Image.Encoded("the picture", bytes));
  }

  /** The frames that a URL holds: a comma-separated list of JPEG pictures, or a video file. */
  List<Image> frames(String param, String url, PictureMemory memory) {
    Data data = data(param, url);
    if (!data.type().equals("video/jpeg")) {
      Image.Encoded video = new Image.Encoded("the video", data.bytes());
      boolean gif =
          new String(data.bytes(), 0, Math.min(4, data.bytes().length), StandardCharsets.ISO_8859_1)
              .equals("GIF8");
      if (!gif && !options.allowVideoFiles()) {
        throw ApiException.unsupported(
            param, "video files other than GIF are not allowed on this server; send single frames");
      }
      List<Image.Rgb> frames = timed(() -> new VideoFrames(limits).read(video));
      frames.forEach(frame -> memory.take(bytes(frame)));
      return List.copyOf(frames);
    }
    String[] parts = data.text().split(",", options.limits().maxVideoFrames() + 1);
    if (parts.length > options.limits().maxVideoFrames()) {
      throw ApiException.tooLarge(
          param, "a video may have %d frames at most".formatted(options.limits().maxVideoFrames()));
    }
    List<Image> frames = new ArrayList<>();
    for (String part : parts) {
      frames.add(
          decode(memory, new Image.Encoded("the frame " + frames.size(), base64(param, part))));
    }
    return frames;
  }

  private Image decode(PictureMemory memory, Image.Encoded encoded) {
    Image.Rgb rgb = timed(() -> ImageDecoder.decode(encoded, limits, /* applyExif= */ true));
    memory.take(bytes(rgb));
    return rgb;
  }

  /**
   * The pixels and the patches that are made of them: floats of each slice, of which there are as
   * many as the picture's area asks for up to a limit, and of the picture as a whole.
   */
  private long bytes(Image.Rgb rgb) {
    long wanted = Math.ceilDiv((long) rgb.width() * rgb.height(), SLICE_PIXELS);
    long slices = 1 + Math.min(wanted, options.limits().maxSliceNums());
    return rgb.rgb().length + slices * SLICE_BYTES;
  }

  private <T> T timed(Callable<T> work) {
    long start = System.nanoTime();
    Future<T> result = decoders.submit(work);
    try {
      return result.get(options.limits().decodeTimeout().toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } catch (TimeoutException e) {
      result.cancel(true);
      throw ApiException.overloaded("decoding the picture took too long; try again");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ClientGoneException();
    } finally {
      metrics.decoded(System.nanoTime() - start);
    }
  }

  private record Data(String type, String text, String param) {
    byte[] bytes() {
      return base64(param, text);
    }
  }

  private Data data(String param, String url) {
    if (!url.regionMatches(true, 0, DATA, 0, DATA.length())) {
      throw ApiException.invalid(param, "a video must be sent itself, as a data: URL");
    }
    int comma = url.indexOf(',');
    String head = comma < 0 ? "" : url.substring(DATA.length(), comma).toLowerCase(Locale.ROOT);
    if (!head.endsWith(";base64")) {
      throw ApiException.invalid(param, "a data: URL must be of the form data:TYPE;base64,DATA");
    }
    return new Data(head.substring(0, head.indexOf(';')), url.substring(comma + 1), param);
  }

  private static byte[] base64(String param, String text) {
    try {
      return Base64.getDecoder().decode(text);
    } catch (IllegalArgumentException e) {
      throw ApiException.invalid(param, "the data: URL does not hold valid base64");
    }
  }
}
