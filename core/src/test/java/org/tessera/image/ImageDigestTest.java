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
    // Computed elsewhere: SHA-256 over the parts, each behind its length as eight bytes.
    assertThat(ImageDigest.of(picture("a", 2, 1), 9, "s").hex())
        .isEqualTo("5a5bceb689a5b1513277d11f1bbf5695f9ff14f58487e95ee12a1253aa7e0d46");
  }

  private static Image.Rgb picture(String name, int width, int height) {
    return new Image.Rgb(name, width, height, PIXELS);
  }
}
