package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.Image;
import org.tessera.error.ImageException;
import tools.jackson.databind.JsonNode;

class ImageDecoderTest {
  private static final ImageLimits LIMITS = ImageLimits.defaults();

  static List<String> pictures() {
    return Pictures.names();
  }

  @ParameterizedTest
  @MethodSource("pictures")
  void readsWhatPillowReads(String name) {
    JsonNode expected = Pictures.expected(name);
    assertPicture(ImageDecoder.decode(Pictures.file(name), LIMITS, false), expected);
    JsonNode upright = expected.get("upright");
    assertPicture(
        ImageDecoder.decode(Pictures.file(name), LIMITS, true),
        upright == null ? expected : upright);
  }

  private static void assertPicture(Image.Rgb picture, JsonNode expected) {
    assertThat(picture.width()).isEqualTo(expected.get("width").asInt());
    assertThat(picture.height()).isEqualTo(expected.get("height").asInt());
    assertThat(Vectors.sha256(picture.rgb())).isEqualTo(expected.get("rgb_sha256").asString());
  }

  @ParameterizedTest
  @MethodSource("pictures")
  void refusesWhatIsCutOff(String name) {
    byte[] whole = Pictures.file(name).bytes();
    // Short enough to end before the first frame of an animation does.
    byte[] half = Arrays.copyOf(whole, Math.min(whole.length / 2, 60));
    assertThatThrownBy(() -> decode(name, half))
        .isInstanceOf(ImageException.class)
        .hasMessageMatching("\\S+: the (JPEG|PNG|WebP|GIF|BMP|TIFF) picture is damaged or cut off");
  }

  @ParameterizedTest
  @ValueSource(strings = {"ycc420.jpg", "progressive.jpg", "rgba.png", "interlaced.png"})
  void refusesWhatLacksItsLastBytes(String name) {
    byte[] whole = Pictures.file(name).bytes();
    byte[] cut = Arrays.copyOf(whole, whole.length - 20);
    assertThatThrownBy(() -> decode(name, cut)).isInstanceOf(ImageException.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "hello", "<svg xmlns='x'/>", "\u0000\u0000\u0000\u000cjP  ", "%PDF-1"})
  void refusesWhatIsNoPicture(String content) {
    byte[] bytes = content.getBytes(StandardCharsets.ISO_8859_1);
    assertThatThrownBy(() -> decode("photo.png", bytes))
        .isInstanceOf(ImageException.class)
        .hasMessage("photo.png: not a picture in JPEG, PNG, WebP, GIF, BMP or TIFF format");
  }

  @Test
  void looksAtTheContentAndNotAtTheName() {
    Image.Rgb picture = decode("misnamed.gif", Pictures.file("rgba.png").bytes());
    assertThat(picture.name()).isEqualTo("misnamed.gif");
    assertThat(picture.width()).isEqualTo(41);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 10, must be at least 1 x 1",
    "10, 0, must be at least 1 x 1",
    "-1, 10, limit of 65535 a side",
    "70000, 1, limit of 65535 a side",
    "60000, 60000, limit of 64000000 in all",
    "60000, 2, limit of 20000 to 1",
    "2, 60000, limit of 20000 to 1"
  })
  void checksTheHeaderBeforeItDecodes(int width, int height, String message) {
    assertThatThrownBy(() -> decode("bomb.png", emptyPng(width, height)))
        .isInstanceOf(ImageException.class)
        .hasMessageStartingWith("bomb.png: ")
        .hasMessageContaining(message);
  }

  /** A header and no data: decoding it would fail with another message. */
  private static byte[] emptyPng(int width, int height) {
    ByteBuffer png = ByteBuffer.allocate(8 + 25 + 12);
    png.put(Pictures.file("rgba.png").bytes(), 0, 8);
    png.putInt(13).putInt(0x49484452).putInt(width).putInt(height);
    png.put((byte) 8).put((byte) 2).put(new byte[3]);
    CRC32 crc = new CRC32();
    crc.update(png.array(), 12, 17);
    png.putInt((int) crc.getValue());
    png.putInt(0).putInt(0x49454e44).putInt(0xae426082);
    return png.array();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"ycc420.jpg", "rgb24.bmp", "plain.gif", "lossless.webp", "lossy.webp", "rgb.tif"})
  void checksEveryFormatsSize(String name) {
    ImageLimits small = new ImageLimits(1_000_000, 41 * 29 - 1, 100, 100);
    assertThatThrownBy(() -> ImageDecoder.decode(Pictures.file(name), small, false))
        .isInstanceOf(ImageException.class)
        .hasMessage(name + ": 41 x 29 pixels are over the limit of 1188 in all");
    ImageLimits few = new ImageLimits(100, 10_000, 100, 100);
    assertThatThrownBy(() -> ImageDecoder.decode(Pictures.file(name), few, false))
        .isInstanceOf(ImageException.class)
        .hasMessageEndingWith("bytes are over the limit of 100");
  }

  @Test
  void checksPixelsToo() {
    Image.Rgb pixels = new Image.Rgb("pixels", 200, 1, new byte[600]);
    assertThat(ImageDecoder.decode(pixels, LIMITS, true)).isSameAs(pixels);
    ImageLimits small = new ImageLimits(1_000_000, 10_000, 100, 1000);
    assertThatThrownBy(() -> ImageDecoder.decode(pixels, small, true))
        .isInstanceOf(ImageException.class)
        .hasMessage("pixels: 200 x 1 pixels are over the limit of 100 a side");
  }

  private static Image.Rgb decode(String name, byte[] bytes) {
    return ImageDecoder.decode(new Image.Encoded(name, bytes), LIMITS, false);
  }
}
