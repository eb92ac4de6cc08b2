package org.tessera.cli;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.tessera.api.Image;
import org.tessera.config.CheckpointConfig;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.image.ImageDecoder;
import org.tessera.image.ImageDigest;
import org.tessera.image.ImageLimits;
import org.tessera.image.ImageProcessor;
import org.tessera.image.ProcessedImage;
import org.tessera.image.Size;
import org.tessera.kv.SequenceTokens.ImageRange;

/**
 * A square picture and a question about it, as an answer sees them, but for the words: a shape has
 * no tokenizer, so that the tokens around the picture are random.
 */
final class BenchPicture {
  /** Of the prompt, besides the picture's: half before it, half after. */
  private static final int TEXT_TOKENS = 51;

  private final ImageProcessor processor;
  private final int maxSliceNums;
  private final int queryNum;
  private final int vocabSize;
  private final int side;
  private final SplittableRandom random = new SplittableRandom(9);

  BenchPicture(CheckpointConfig config, int side) {
    this.processor = ImageProcessor.of(config.preprocessor());
    this.maxSliceNums = config.preprocessor().maxSliceNums();
    this.queryNum = config.model().queryNum();
    this.vocabSize = config.model().vocabSize();
    this.side = side;
  }

  /** A prompt and its pictures. */
  @SuppressWarnings("ArrayRecordComponent") // handed to the engine as it is
  record Prompt(int[] ids, List<ImageInput> images) {}

  int slices() {
    return processor.plan(new Size(side, side), maxSliceNums).sliceCount();
  }

  int promptTokens() {
    return slices() * queryNum + TEXT_TOKENS;
  }

  /** A JPEG file, another one each time: waves of colour with some noise. */
  byte[] file() {
    return file(side, random);
  }

  /**
   * A JPEG file of {@code side} by {@code side} pixels, another one for each state of {@code
   * random}.
   */
  static byte[] file(int side, SplittableRandom random) {
    BufferedImage image = new BufferedImage(side, side, BufferedImage.TYPE_INT_RGB);
    double phase = random.nextDouble(6);
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        int red = wave(x / 37.0 + phase, random);
        int green = wave(y / 53.0 + phase, random);
        int blue = wave((x + y) / 71.0 + phase, random);
        image.setRGB(x, y, red << 16 | green << 8 | blue);
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      ImageIO.write(image, "jpg", bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  private static int wave(double turn, SplittableRandom random) {
    return (int) (118 + 110 * Math.sin(turn)) + random.nextInt(20);
  }

  /** What is done with a file before the engine gets it. */
  Prompt prepare(byte[] file) {
    Image.Rgb rgb =
        ImageDecoder.decode(
            new Image.Encoded("picture.jpg", file), ImageLimits.defaults(), /* applyExif= */ true);
    CompletableFuture<ImageDigest> computed =
        CompletableFuture.supplyAsync(() -> ImageDigest.of(rgb, maxSliceNums, ""));
    ProcessedImage processed = processor.process(rgb, maxSliceNums);
    String digest = computed.join().hex();
    int[] ids = random.ints(promptTokens(), 1, vocabSize).toArray();
    List<ImageInput> images = new ArrayList<>();
    for (int i = 0; i < processed.slices().size(); i++) {
      int start = TEXT_TOKENS / 2 + i * queryNum;
      images.add(
          new ImageInput(
              new ImageRange(start, queryNum, digest + ":" + i), processed.slices().get(i)));
      IntStream.range(start, start + queryNum).forEach(position -> ids[position] = 0);
    }
    return new Prompt(ids, images);
  }
}
