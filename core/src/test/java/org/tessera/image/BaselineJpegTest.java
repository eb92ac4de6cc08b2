package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.SplittableRandom;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.w3c.dom.NodeList;

/** Against the platform's libjpeg, sample by sample. */
class BaselineJpegTest {
  private final SplittableRandom random = new SplittableRandom(4);

  /** Luma's sampling, and the MCUs after which the coding starts anew. */
  @ParameterizedTest
  @CsvSource({"1, 1, 0", "2, 1, 0", "2, 2, 0", "2, 2, 1", "2, 1, 7", "1, 1, 13"})
  void samplesAreLibjpegs(int horizontal, int vertical, int restart) throws IOException {
    for (int round = 0; round < 25; round++) {
      int width = random.nextInt(5, round < 20 ? 90 : 400);
      int height = random.nextInt(1, round < 20 ? 90 : 200);
      float quality = random.nextInt(1, 11) / 10f;
      byte[] file = file(noise(width, height), quality, horizontal, vertical, restart);
      byte[] expected =
          ((DataBufferByte) ImageReaders.readRaster("jpeg", file).getDataBuffer()).getData();
      assertThat(BaselineJpeg.rgb(file, /* isYcc= */ false)).hasValue(expected);
      assertThat(BaselineJpeg.rgb(file, /* isYcc= */ true)).hasValue(JpegColours.ofYcc(expected));
    }
  }

  @Test
  void leavesWhatIsOtherwise() throws IOException {
    byte[] file = file(noise(40, 30), 0.8f, 2, 2, 3);
    assertThat(BaselineJpeg.rgb(file, true)).isPresent();
    for (int end = 0; end < file.length; end++) {
      assertThat(BaselineJpeg.rgb(Arrays.copyOf(file, end), true)).isEmpty();
    }
    assertThat(BaselineJpeg.rgb(file(noise(4, 30), 0.8f, 2, 2, 0), true)).isEmpty();
    assertThat(BaselineJpeg.rgb(file(noise(40, 30), 0.8f, 1, 2, 0), true)).isEmpty();
  }

  /**
   * Waves with some noise and hard edges: coefficients small and large, samples that are clipped.
   */
  private BufferedImage noise(int width, int height) {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    int strength = random.nextInt(1, 256);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int wave = (int) (128 + 120 * Math.sin(x / 7.0) * Math.cos(y / 5.0));
        int colour = 0;
        for (int c = 0; c < 3; c++) {
          int value = wave + random.nextInt(-strength, strength);
          colour = colour << 8 | Math.clamp(value * (c + 1) / 2, 0, 255);
        }
        image.setRGB(x, y, colour);
      }
    }
    return image;
  }

  /** A file without applications' segments, as {@link JpegDecoder} leaves it. */
  private static byte[] file(
      BufferedImage image, float quality, int horizontal, int vertical, int restart)
      throws IOException {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ImageWriteParam param = writer.getDefaultWriteParam();
    param.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    param.setCompressionQuality(quality);
    IIOMetadata metadata =
        writer.getDefaultImageMetadata(ImageTypeSpecifier.createFromRenderedImage(image), param);
    IIOMetadataNode root =
        (IIOMetadataNode) metadata.getAsTree(metadata.getNativeMetadataFormatName());
    IIOMetadataNode luma = (IIOMetadataNode) root.getElementsByTagName("componentSpec").item(0);
    luma.setAttribute("HsamplingFactor", String.valueOf(horizontal));
    luma.setAttribute("VsamplingFactor", String.valueOf(vertical));
    if (restart > 0) {
      IIOMetadataNode interval = new IIOMetadataNode("dri");
      interval.setAttribute("interval", String.valueOf(restart));
      NodeList sequence = root.getElementsByTagName("markerSequence");
      sequence.item(0).insertBefore(interval, root.getElementsByTagName("sof").item(0));
    }
    metadata.setFromTree(metadata.getNativeMetadataFormatName(), root);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
      writer.setOutput(out);
      writer.write(null, new IIOImage(image, null, metadata), param);
    } finally {
      writer.dispose();
    }
    return withoutApplications(bytes.toByteArray());
  }

  private static byte[] withoutApplications(byte[] file) {
    ByteArrayOutputStream kept = new ByteArrayOutputStream();
    kept.write(file, 0, 2);
    int at = 2;
    while ((file[at + 1] & 0xf0) == 0xe0) {
      at += 2 + ((file[at + 2] & 0xff) << 8 | file[at + 3] & 0xff);
    }
    kept.write(file, at, file.length - at);
    return kept.toByteArray();
  }
}
