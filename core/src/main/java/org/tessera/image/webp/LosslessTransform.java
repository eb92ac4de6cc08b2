package org.tessera.image.webp;

/** What the encoder did to the pixels before it coded them, and how it is undone (section 4). */
sealed interface LosslessTransform {
  int OPAQUE_BLACK = 0xff000000;

  /** How wide the picture is that this transform was applied to, after it. */
  int storedWidth();

  /** Undoes the transform; the array may be changed. */
  int[] invert(int[] argb, int height);

  /** Adds the four channels, each modulo 256. */
  static int add(int a, int b) {
    return ((a & 0xff00ff00) + (b & 0xff00ff00) & 0xff00ff00)
        | ((a & 0x00ff00ff) + (b & 0x00ff00ff) & 0x00ff00ff);
  }

  /** Each pixel was replaced by its difference to a prediction from its neighbours. */
  @SuppressWarnings("ArrayRecordComponent") // Internal to the codec, never compared.
  record Predictor(int storedWidth, int bits, int[] modes) implements LosslessTransform {
    @Override
    public int[] invert(int[] argb, int height) {
      int width = storedWidth;
      int modesPerRow = WebPLossless.blocks(width, bits);
      argb[0] = add(argb[0], OPAQUE_BLACK);
      for (int x = 1; x < width; x++) {
        argb[x] = add(argb[x], argb[x - 1]);
      }
      for (int y = 1; y < height; y++) {
        int row = y * width;
        argb[row] = add(argb[row], argb[row - width]);
        for (int x = 1; x < width; x++) {
          int at = row + x;
          int mode = (modes[(y >> bits) * modesPerRow + (x >> bits)] >> 8) & 15;
          // Above and right of the last pixel is the first one of its own row.
          argb[at] =
              add(
                  argb[at],
                  predict(
                      mode,
                      argb[at - 1],
                      argb[at - width],
                      argb[at - width + 1],
                      argb[at - width - 1]));
        }
      }
      return argb;
    }

    private static int predict(int mode, int left, int top, int topRight, int topLeft) {
      return switch (mode) {
        case 1 -> left;
        case 2 -> top;
        case 3 -> topRight;
        case 4 -> topLeft;
        case 5 -> average(average(left, topRight), top);
        case 6 -> average(left, topLeft);
        case 7 -> average(left, top);
        case 8 -> average(topLeft, top);
        case 9 -> average(top, topRight);
        case 10 -> average(average(left, topLeft), average(top, topRight));
        case 11 -> select(left, top, topLeft);
        case 12 -> gradient(left, top, topLeft);
        case 13 -> halfGradient(average(left, top), topLeft);
        default -> OPAQUE_BLACK;
      };
    }

    private static int average(int a, int b) {
      return (((a ^ b) & 0xfefefefe) >>> 1) + (a & b);
    }

    private static int select(int left, int top, int topLeft) {
      int difference = 0;
      for (int shift = 0; shift < 32; shift += 8) {
        int corner = topLeft >>> shift & 0xff;
        difference +=
            Math.abs((top >>> shift & 0xff) - corner) - Math.abs((left >>> shift & 0xff) - corner);
      }
      return difference < 0 ? left : top;
    }

    private static int gradient(int left, int top, int topLeft) {
      int result = 0;
      for (int shift = 0; shift < 32; shift += 8) {
        int value = (left >>> shift & 0xff) + (top >>> shift & 0xff) - (topLeft >>> shift & 0xff);
        result |= Math.clamp(value, 0, 255) << shift;
      }
      return result;
    }

    private static int halfGradient(int average, int topLeft) {
      int result = 0;
      for (int shift = 0; shift < 32; shift += 8) {
        int value = average >>> shift & 0xff;
        value += (value - (topLeft >>> shift & 0xff)) / 2;
        result |= Math.clamp(value, 0, 255) << shift;
      }
      return result;
    }
  }

  /** Red and blue were lowered by shares of green, and blue by a share of red. */
  @SuppressWarnings("ArrayRecordComponent") // Internal to the codec, never compared.
  record CrossColour(int storedWidth, int bits, int[] shares) implements LosslessTransform {
    @Override
    public int[] invert(int[] argb, int height) {
      int sharesPerRow = WebPLossless.blocks(storedWidth, bits);
      for (int y = 0, at = 0; y < height; y++) {
        for (int x = 0; x < storedWidth; x++, at++) {
          int share = shares[(y >> bits) * sharesPerRow + (x >> bits)];
          int pixel = argb[at];
          byte green = (byte) (pixel >> 8);
          int red = (pixel >> 16) + ((byte) share * green >> 5);
          int blue =
              pixel + ((byte) (share >> 8) * green >> 5) + ((byte) (share >> 16) * (byte) red >> 5);
          argb[at] = (pixel & 0xff00ff00) | (red & 0xff) << 16 | (blue & 0xff);
        }
      }
      return argb;
    }
  }

  /** Green was subtracted from red and blue. */
  record SubtractGreen(int storedWidth) implements LosslessTransform {
    @Override
    public int[] invert(int[] argb, int height) {
      for (int i = 0; i < argb.length; i++) {
        int green = argb[i] >> 8 & 0xff;
        argb[i] = add(argb[i], green << 16 | green);
      }
      return argb;
    }
  }

  /** Colours were replaced by indexes, several to a pixel where there are few. */
  @SuppressWarnings("ArrayRecordComponent") // Internal to the codec, never compared.
  record Palette(int width, int[] colours) implements LosslessTransform {
    /** Indexes in one stored pixel, as a power of 2. */
    private int packing() {
      if (colours.length > 16) {
        return 0;
      }
      return colours.length > 4 ? 1 : colours.length > 2 ? 2 : 3;
    }

    @Override
    public int storedWidth() {
      return WebPLossless.blocks(width, packing());
    }

    @Override
    public int[] invert(int[] argb, int height) {
      int packing = packing();
      int bits = 8 >> packing;
      int[] result = new int[width * height];
      for (int y = 0, at = 0; y < height; y++) {
        int row = y * storedWidth();
        for (int x = 0; x < width; x++, at++) {
          int packed = argb[row + (x >> packing)] >> 8 & 0xff;
          int shift = (x & (1 << packing) - 1) * bits;
          int index = packed >> shift & (1 << bits) - 1;
          result[at] = index < colours.length ? colours[index] : 0;
        }
      }
      return result;
    }
  }
}
