package org.tessera.image.webp;

/** Luma and half-size chroma to RGB: libwebp's smooth upsampling and 14-bit arithmetic. */
final class Vp8Colours {
  private static final int FRACTION_BITS = 6;

  private Vp8Colours() {}

  static byte[] toRgb(Plane luma, Plane blue, Plane red, int width, int height) {
    byte[] rgb = new byte[3 * width * height];
    int[] blues = new int[width];
    int[] reds = new int[width];
    int chromaHeight = (height + 1) / 2;
    for (int y = 0; y < height; y++) {
      // Each row is three parts of the nearer chroma row and one part of the other.
      int near = y / 2;
      int far = Math.clamp(near + (y % 2 == 0 ? -1 : 1), 0, chromaHeight - 1);
      upsample(blue, near, far, blues);
      upsample(red, near, far, reds);
      int in = luma.index(0, y);
      int out = 3 * width * y;
      for (int x = 0; x < width; x++, out += 3) {
        int light = scaled(luma.at(in + x), 19_077);
        rgb[out] = toByte(light + scaled(reds[x], 26_149) - 14_234);
        rgb[out + 1] = toByte(light - scaled(blues[x], 6_419) - scaled(reds[x], 13_320) + 8_708);
        rgb[out + 2] = toByte(light + scaled(blues[x], 33_050) - 17_685);
      }
    }
    return rgb;
  }

  private static void upsample(Plane chroma, int nearRow, int farRow, int[] row) {
    int near = chroma.index(0, nearRow);
    int far = chroma.index(0, farRow);
    int width = row.length;
    row[0] = (3 * chroma.at(near) + chroma.at(far) + 2) >> 2;
    for (int x = 1; x < width; x++) {
      int own = x / 2;
      int other = x % 2 == 0 ? own - 1 : own + 1;
      if (other >= (width + 1) / 2) {
        row[x] = (3 * chroma.at(near + own) + chroma.at(far + own) + 2) >> 2;
        continue;
      }
      // Nine, three, three and one sixteenth, rounded in two steps.
      int nearOwn = chroma.at(near + own);
      int nearOther = chroma.at(near + other);
      int farOwn = chroma.at(far + own);
      int farOther = chroma.at(far + other);
      int sum = nearOwn + nearOther + farOwn + farOther + 8;
      int diagonal = (sum + 2 * (nearOther + farOwn)) >> 3;
      row[x] = (diagonal + nearOwn) >> 1;
    }
  }

  private static int scaled(int value, int factor) {
    return value * factor >> 8;
  }

  private static byte toByte(int fixedPoint) {
    return (byte) Math.clamp(fixedPoint >> FRACTION_BITS, 0, 255);
  }
}
