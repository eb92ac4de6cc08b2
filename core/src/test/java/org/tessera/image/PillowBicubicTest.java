package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.api.Image;

class PillowBicubicTest {
  /** Against Pillow 12.3 on {@code pattern}: down, up, both, one pass, to and from one pixel. */
  @ParameterizedTest
  @CsvSource({
    "300, 200, 91, 64, 49747e29f4a5b06e147a663be11dbb2eb903b5cfe25dd3b686ce8e4fc673c1b1",
    "64, 48, 448, 336, 681ef8ed30a32a1af9b926404ea99b91470f5cfa80b8a5dad239f3760c3412c5",
    "400, 30, 50, 300, a9ce3d5e8b8997293bdabde9bae53a8fc3bb4515a3fa78af4c3b6aff98932e07",
    "100, 100, 100, 37, 86b7cf18fe656759693434df56b2d72f70dee80be41fdb3ce564dbd1e377027e",
    "100, 100, 37, 100, cf60f95a34ee44de35e434075f6325a7a801150fbabb3b66d2db5f585553e342",
    "1, 1, 56, 28, 27045903359a5af06931ea152b46cccf9b9b9e96a4a9ce2a027de7470a1cc1b0",
    "500, 3, 1, 1, f079736211df43ff3783e148ea507d51b9d910e5854c77c97da5f1147a374448",
    "2000, 1500, 518, 392, f084a3c3213948f3d2821e4f3268503059a183e1da0eec7c505aabeb192c6f10"
  })
  void equalsPillows(int width, int height, int newWidth, int newHeight, String sha256) {
    Image.Rgb picture = pattern(width, height);
    Size size = new Size(newWidth, newHeight);
    assertThat(Vectors.sha256(PillowBicubic.resize(picture, size).rgb())).isEqualTo(sha256);
    PixelKernels fast = PixelWarmUp.withVectors().orElseGet(ScalarPixels::new);
    assertThat(Vectors.sha256(PillowBicubic.resize(picture, size, fast).rgb())).isEqualTo(sha256);
  }

  private static Image.Rgb pattern(int width, int height) {
    byte[] rgb = new byte[3 * width * height];
    for (int i = 0; i < rgb.length; i++) {
      // Hard edges between 0 and 255, so that clamping is needed.
      rgb[i] = (byte) (i % 7 < 3 ? 255 : i * 31 >> 3);
    }
    return new Image.Rgb("pattern", width, height, rgb);
  }

  @Test
  void returnsThePictureWhereTheSizeStays() {
    Image.Rgb picture = pattern(5, 4);
    assertThat(PillowBicubic.resize(picture, new Size(5, 4))).isSameAs(picture);
  }

  @Test
  void keepsOneColour() {
    SplittableRandom random = new SplittableRandom(3);
    for (int i = 0; i < 200; i++) {
      int width = random.nextInt(1, 60);
      int height = random.nextInt(1, 60);
      byte value = (byte) random.nextInt();
      byte[] rgb = new byte[3 * width * height];
      Arrays.fill(rgb, value);
      Size size = new Size(random.nextInt(1, 90), random.nextInt(1, 90));
      byte[] resized = PillowBicubic.resize(new Image.Rgb("grey", width, height, rgb), size).rgb();
      for (byte sample : resized) {
        assertThat(sample).isEqualTo(value);
      }
    }
  }
}
