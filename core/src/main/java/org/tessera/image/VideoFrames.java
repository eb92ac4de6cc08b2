package org.tessera.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * Videos to the frames that the model is shown: one a second, and of a long video 64 spread evenly,
 * as OpenBMB's recipe has it. Animated GIFs are read here, MP4, MOV, WebM, MKV and AVI files by an
 * {@code ffmpeg} on the PATH.
 *
 * <p>Of a GIF of up to 64 frames and 8 seconds every frame is kept, since one a second would leave
 * next to nothing of it. Frames over 1920 x 1080 pixels are reduced to that area, which is more
 * than the two slices of a frame hold, so that 64 of them stay under 400 MB.
 */
public final class VideoFrames {
  /** Frames of one video at most. */
  public static final int MAX_FRAMES = 64;

  private static final int SHORT_GIF_CENTISECONDS = 800;
  private static final long MAX_FRAME_PIXELS = 1920L * 1080;

  /** Pixels that one GIF may make us decode, in multiples of those of the largest picture. */
  private static final int MAX_GIF_PICTURES = 16;

  /** As long as a signature of {@link ImageFormat} or {@link VideoFormat} reaches. */
  private static final int SIGNATURE_BYTES = 16;

  private final ImageLimits limits;
  private final Ffmpeg ffmpeg;

  /**
   * @param limits of a GIF file, and of each frame of any video
   */
  public VideoFrames(ImageLimits limits) {
    this(limits, new Ffmpeg());
  }

  VideoFrames(ImageLimits limits, Ffmpeg ffmpeg) {
    this.limits = limits;
    this.ffmpeg = ffmpeg;
  }

  /**
   * The frames of a video file.
   *
   * @throws ImageException where it is no video of a known format, is damaged or over a limit, or
   *     where ffmpeg is needed and absent
   */
  public List<Image.Rgb> read(Path file) {
    String name = String.valueOf(file.getFileName());
    try (InputStream in = Files.newInputStream(file)) {
      if (isGif(in.readNBytes(SIGNATURE_BYTES))) {
        limits.checkBytes(name, Files.size(file));
        return readGif(name, Files.readAllBytes(file));
      }
      return readVideo(name, file);
    } catch (IOException e) {
      throw new ImageException("the video file " + name + " cannot be read", e);
    }
  }

  /**
   * The frames of a video in memory.
   *
   * @throws ImageException as for a file
   */
  public List<Image.Rgb> read(Image.Encoded video) {
    if (isGif(video.bytes())) {
      limits.checkBytes(video.name(), video.bytes().length);
      return readGif(video.name(), video.bytes());
    }
    VideoFormat.of(video.name(), video.bytes());
    try {
      Path file = Files.createTempFile("tessera", ".video");
      try {
        Files.write(file, video.bytes());
        return readVideo(video.name(), file);
      } finally {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new ImageException(video.name() + ": no room for a temporary copy of the video", e);
    }
  }

  private static boolean isGif(byte[] start) {
    return ImageFormat.of(start).filter(ImageFormat.GIF::equals).isPresent();
  }

  private List<Image.Rgb> readVideo(String name, Path file) throws IOException {
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(SIGNATURE_BYTES);
    }
    VideoFormat format = VideoFormat.of(name, start);
    Ffmpeg.Probe probe = ffmpeg.probe(name, file, format);
    limits.check(name, probe.width(), probe.height());
    int stride = (int) Math.max(1, Math.rint(probe.framesPerSecond()));
    int seconds = (int) Math.min(Integer.MAX_VALUE, (probe.frames() + stride - 1) / stride);
    List<Long> numbers = new ArrayList<>();
    for (int second : spread(seconds)) {
      numbers.add((long) second * stride);
    }
    List<Image.Rgb> frames = new ArrayList<>();
    ffmpeg.extract(name, file, format, numbers, limits, frame -> frames.add(reduced(frame)));
    if (frames.isEmpty()) {
      throw new ImageException(name + ": the video holds no frame that can be decoded");
    }
    return frames;
  }

  private List<Image.Rgb> readGif(String name, byte[] bytes) {
    try {
      Set<Integer> wanted = gifFrames(name, bytes);
      GifDecoder gif = new GifDecoder(name, bytes, limits);
      List<Image.Rgb> frames = new ArrayList<>();
      for (int frame = 0; frames.size() < wanted.size() && gif.advance(); frame++) {
        gif.drawFrame();
        if (wanted.contains(frame)) {
          frames.add(reduced(gif.picture()));
        }
      }
      return frames;
    } catch (ImageException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      // As for pictures: whatever the reader meets in hostile bytes, the answer is one sentence.
      throw new ImageException(name + ": the GIF animation is damaged or cut off", e);
    }
  }

  /** Numbers of the frames to keep, from their delays alone. */
  private Set<Integer> gifFrames(String name, byte[] bytes) throws IOException {
    GifDecoder gif = new GifDecoder(name, bytes, limits);
    List<Integer> ends = new ArrayList<>();
    int end = 0;
    long pixels = 0;
    while (gif.advance()) {
      end = Math.addExact(end, gif.delayCentiseconds());
      ends.add(end);
      pixels += gif.skipFrame();
      if (pixels > MAX_GIF_PICTURES * limits.maxPixels()) {
        throw new ImageException(
            "%s: the frames of the GIF animation hold more than %d pixels in all"
                .formatted(name, MAX_GIF_PICTURES * limits.maxPixels()));
      }
    }
    if (ends.isEmpty()) {
      throw new ImageException(name + ": a GIF file without a picture");
    }
    List<Integer> shown = new ArrayList<>();
    boolean brief = ends.size() <= MAX_FRAMES && end <= SHORT_GIF_CENTISECONDS;
    int nextSecond = 0;
    for (int frame = 0; frame < ends.size(); frame++) {
      if (brief || nextSecond < ends.get(frame)) {
        shown.add(frame);
        nextSecond = (ends.get(frame) + 99) / 100 * 100;
      }
    }
    Set<Integer> wanted = new HashSet<>();
    for (int index : spread(shown.size())) {
      wanted.add(shown.get(index));
    }
    return wanted;
  }

  /** All indexes below a count, or 64 of them from the middles of equal stretches. */
  static int[] spread(int count) {
    if (count <= MAX_FRAMES) {
      return IntStream.range(0, count).toArray();
    }
    double gap = (double) count / MAX_FRAMES;
    return IntStream.range(0, MAX_FRAMES).map(i -> (int) (i * gap + gap / 2)).toArray();
  }

  private static Image.Rgb reduced(Image.Rgb frame) {
    long pixels = (long) frame.width() * frame.height();
    if (pixels <= MAX_FRAME_PIXELS) {
      return frame;
    }
    double scale = Math.sqrt((double) MAX_FRAME_PIXELS / pixels);
    Size size =
        new Size(
            Math.max(1, (int) (frame.width() * scale)),
            Math.max(1, (int) (frame.height() * scale)));
    return PillowBicubic.resize(frame, size);
  }
}
