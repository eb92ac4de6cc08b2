package org.tessera.image;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.tessera.api.Image;

/**
 * What a picture costs before the engine's turn, step by step. Run as {@code LinearBenchmark} says,
 * by the pattern {@code PictureBenchmark}.
 */
@Fork(1)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 5, time = 2)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@State(Scope.Benchmark)
public class PictureBenchmark {
  private static final int MAX_SLICES = 9;

  /** 1344 is cut into nine slices as it is; 1600 is resized for them too. */
  @Param({"1344", "1600"})
  public int side;

  private final ImageProcessor processor =
      new ImageProcessor(
          14, 448, true, new float[] {0.5f, 0.5f, 0.5f}, new float[] {0.5f, 0.5f, 0.5f});

  private final PixelKernels kernels = PixelWarmUp.withVectors().orElseGet(ScalarPixels::new);

  private byte[] file = {};
  private Image.Rgb picture = new Image.Rgb("none", 1, 1, new byte[3]);

  /** Waves of colour with some noise, as {@code tessera bench} takes them. */
  @Setup
  public void make() throws IOException {
    SplittableRandom random = new SplittableRandom(9);
    BufferedImage image = new BufferedImage(side, side, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        int red = wave(x / 37.0, random);
        int green = wave(y / 53.0, random);
        int blue = wave((x + y) / 71.0, random);
        image.setRGB(x, y, red << 16 | green << 8 | blue);
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(image, "jpg", bytes);
    file = bytes.toByteArray();
    picture = decode();
  }

  private static int wave(double turn, SplittableRandom random) {
    return (int) (118 + 110 * Math.sin(turn)) + random.nextInt(20);
  }

  @Benchmark
  public Image.Rgb decode() {
    return ImageDecoder.decode(
        new Image.Encoded("picture.jpg", file), ImageLimits.defaults(), /* applyExif= */ true);
  }

  /** Resizing and cutting. */
  @Benchmark
  public ProcessedImage process() {
    return processor.process(picture, MAX_SLICES);
  }

  @Benchmark
  public Image.Rgb resizeOverview() {
    return PillowBicubic.resize(picture, new Size(448, 448), kernels);
  }

  @Benchmark
  public ImageDigest digest() {
    return ImageDigest.of(picture, MAX_SLICES, "");
  }

  /** From the file to slices and digest, as requests are prepared. */
  @Benchmark
  public ProcessedImage all() {
    Image.Rgb decoded = decode();
    CompletableFuture<ImageDigest> digest =
        CompletableFuture.supplyAsync(() -> ImageDigest.of(decoded, MAX_SLICES, ""));
    ProcessedImage processed = processor.process(decoded, MAX_SLICES);
    digest.join();
    return processed;
  }
}
