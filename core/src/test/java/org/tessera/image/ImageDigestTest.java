package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tessera.api.Image;

class ImageDigestTest {
  private static final byte[] PIXELS = {1, 2, 3, 4, 5, 6};

  @Test
  void isThatOfPixelsAndOptionsAndNotOfTheName() {
    ImageDigest digest = ImageDigest.of(picture("a", 2, 1), 9, "");
    assertThat(digest.hex()).hasSize(64);
    assertThat(ImageDigest.of(picture("b", 2, 1), 9, "")).isEqualTo(digest);
  }

  @Test
  void differsWhereAnythingElseDoes() {
    byte[] changed = PIXELS.clone();
    changed[5]++;
    Set<ImageDigest> digests = new HashSet<>();
    digests.add(ImageDigest.of(picture("a", 2, 1), 9, ""));
    digests.add(ImageDigest.of(picture("a", 1, 2), 9, ""));
    digests.add(ImageDigest.of(picture("a", 2, 1), 4, ""));
    digests.add(ImageDigest.of(picture("a", 2, 1), 9, "tenant"));
    digests.add(ImageDigest.of(new Image.Rgb("a", 2, 1, changed), 9, ""));
    assertThat(digests).hasSize(5);
  }

  @Test
  void isStable() {
    // Computed elsewhere: SHA-256 over the parts, each behind its length as eight bytes; those
    // of the pixels are the SHA-256 of each 256 KiB.
    assertThat(ImageDigest.of(picture("a", 2, 1), 9, "s").hex())
        .isEqualTo("759744accde0b57f0abae8f66b696583bd67bfc948ba57f7271174de39e356cf");
    byte[] rgb = new byte[3 * 400 * 300];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) (i * 7 >> 3);
    }
    assertThat(ImageDigest.of(new Image.Rgb("large", 400, 300, rgb), 9, "").hex())
        .isEqualTo("5c22b55a3e565af27f6600db4bfb14a6aa9f3c67ce34ae108143a0abbbce7226");
  }

  private static Image.Rgb picture(String name, int width, int height) {
    return new Image.Rgb(name, width, height, PIXELS);
  }
}
