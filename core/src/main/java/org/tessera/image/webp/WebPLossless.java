package org.tessera.image.webp;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;

/** The lossless codec of WebP (RFC 9649): backward references, a colour cache and transforms. */
public final class WebPLossless {
  private static final int HEADER_BITS = 40;
  private static final int PREDICTOR = 0;
  private static final int CROSS_COLOUR = 1;
  private static final int SUBTRACT_GREEN = 2;
  private static final int LITERALS = 256;
  private static final int LENGTH_PREFIXES = 24;
  private static final int DISTANCE_PREFIXES = 40;
  private static final int MAX_CACHE_BITS = 11;
  private static final int CACHE_MULTIPLIER = 0x1e35a7bd;
  private static final int[] LENGTH_CODE_ORDER = {
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  };

  /** Near pixels by distance code: rows up in the upper four bits, 8 minus columns left below. */
  private static final int[] NEAR = {
    0x18, 0x07, 0x17, 0x19, 0x28, 0x06, 0x27, 0x29, 0x16, 0x1a, 0x26, 0x2a,
    0x38, 0x05, 0x37, 0x39, 0x15, 0x1b, 0x36, 0x3a, 0x25, 0x2b, 0x48, 0x04,
    0x47, 0x49, 0x14, 0x1c, 0x35, 0x3b, 0x46, 0x4a, 0x24, 0x2c, 0x58, 0x45,
    0x4b, 0x34, 0x3c, 0x03, 0x57, 0x59, 0x13, 0x1d, 0x56, 0x5a, 0x23, 0x2d,
    0x44, 0x4c, 0x55, 0x5b, 0x33, 0x3d, 0x68, 0x02, 0x67, 0x69, 0x12, 0x1e,
    0x66, 0x6a, 0x22, 0x2e, 0x54, 0x5c, 0x43, 0x4d, 0x65, 0x6b, 0x32, 0x3e,
    0x78, 0x01, 0x77, 0x79, 0x53, 0x5d, 0x11, 0x1f, 0x64, 0x6c, 0x42, 0x4e,
    0x76, 0x7a, 0x21, 0x2f, 0x75, 0x7b, 0x31, 0x3f, 0x63, 0x6d, 0x52, 0x5e,
    0x00, 0x74, 0x7c, 0x41, 0x4f, 0x10, 0x20, 0x62, 0x6e, 0x30, 0x73, 0x7d,
    0x51, 0x5f, 0x40, 0x72, 0x7e, 0x61, 0x6f, 0x50, 0x71, 0x7f, 0x60, 0x70,
  };

  private final LsbBitReader in;

  private WebPLossless(LsbBitReader in) {
    this.in = in;
  }

  /** The five codes that one region of the picture is written in. */
  private record Codes(
      PrefixCode green, PrefixCode red, PrefixCode blue, PrefixCode alpha, PrefixCode distance) {}

  /**
   * Decodes a picture, without its alpha.
   *
   * @param start of the chunk's data, and {@code end} behind it
   * @param width and {@code height} as the chunk's header says, checked by the caller
   * @return RGB, three bytes a pixel
   * @throws IOException where the data are damaged
   */
  public static byte[] decode(byte[] bytes, int start, int end, int width, int height)
      throws IOException {
    LsbBitReader in = new LsbBitReader(bytes, start, end);
    in.read(HEADER_BITS / 2);
    in.read(HEADER_BITS / 2 - 3);
    if (in.read(3) != 0) {
      throw new IOException("an unknown version");
    }
    int[] argb = new WebPLossless(in).decodePicture(width, height);
    byte[] rgb = new byte[3 * width * height];
    for (int i = 0, out = 0; i < argb.length; i++) {
      rgb[out++] = (byte) (argb[i] >> 16);
      rgb[out++] = (byte) (argb[i] >> 8);
      rgb[out++] = (byte) argb[i];
    }
    return rgb;
  }

  private int[] decodePicture(int width, int height) throws IOException {
    Deque<LosslessTransform> transforms = new ArrayDeque<>();
    int seen = 0;
    int storedWidth = width;
    while (in.readFlag()) {
      int type = in.read(2);
      if ((seen & 1 << type) != 0) {
        throw new IOException("a transform twice");
      }
      seen |= 1 << type;
      LosslessTransform transform = readTransform(type, storedWidth, height);
      storedWidth = transform.storedWidth();
      transforms.push(transform);
    }
    int[] argb = decodeImage(storedWidth, height, true);
    for (LosslessTransform transform : transforms) {
      argb = transform.invert(argb, height);
    }
    return argb;
  }

  private LosslessTransform readTransform(int type, int width, int height) throws IOException {
    return switch (type) {
      case PREDICTOR, CROSS_COLOUR -> {
        int bits = in.read(3) + 2;
        int[] blocks = decodeImage(blocks(width, bits), blocks(height, bits), false);
        yield type == PREDICTOR
            ? new LosslessTransform.Predictor(width, bits, blocks)
            : new LosslessTransform.CrossColour(width, bits, blocks);
      }
      case SUBTRACT_GREEN -> new LosslessTransform.SubtractGreen(width);
      default -> {
        int colours = in.read(8) + 1;
        int[] palette = decodeImage(colours, 1, false);
        for (int i = 1; i < colours; i++) {
          palette[i] = LosslessTransform.add(palette[i], palette[i - 1]);
        }
        yield new LosslessTransform.Palette(width, palette);
      }
    };
  }

  static int blocks(int pixels, int bits) {
    return (pixels + (1 << bits) - 1) >> bits;
  }

  private int[] decodeImage(int width, int height, boolean main) throws IOException {
    int cacheBits = 0;
    if (in.readFlag()) {
      cacheBits = in.read(4);
      if (cacheBits < 1 || cacheBits > MAX_CACHE_BITS) {
        throw new IOException("a colour cache of an impossible size");
      }
    }
    int regionBits = 0;
    int[] regions = {};
    int groups = 1;
    if (main && in.readFlag()) {
      regionBits = in.read(3) + 2;
      regions = decodeImage(blocks(width, regionBits), blocks(height, regionBits), false);
      for (int i = 0; i < regions.length; i++) {
        regions[i] = (regions[i] >> 8) & 0xffff;
        groups = Math.max(groups, regions[i] + 1);
      }
    }
    Codes[] codes = new Codes[groups];
    int greens = LITERALS + LENGTH_PREFIXES + (cacheBits == 0 ? 0 : 1 << cacheBits);
    for (int i = 0; i < groups; i++) {
      codes[i] =
          new Codes(
              readCode(greens),
              readCode(LITERALS),
              readCode(LITERALS),
              readCode(LITERALS),
              readCode(DISTANCE_PREFIXES));
    }
    return decodePixels(width, height, cacheBits, regionBits, regions, codes);
  }

  private int[] decodePixels(
      int width, int height, int cacheBits, int regionBits, int[] regions, Codes[] codes)
      throws IOException {
    int[] argb = new int[Math.multiplyExact(width, height)];
    int[] cache = new int[cacheBits == 0 ? 0 : 1 << cacheBits];
    int cached = 0;
    int regionsPerRow = blocks(width, regionBits);
    int at = 0;
    while (at < argb.length) {
      Codes region = codes[0];
      if (regions.length != 0) {
        int x = at % width;
        int y = at / width;
        region = codes[regions[(y >> regionBits) * regionsPerRow + (x >> regionBits)]];
      }
      int symbol = region.green.read(in);
      if (symbol < LITERALS) {
        int red = region.red.read(in);
        int blue = region.blue.read(in);
        argb[at++] = region.alpha.read(in) << 24 | red << 16 | symbol << 8 | blue;
      } else if (symbol < LITERALS + LENGTH_PREFIXES) {
        int length = readPrefixed(symbol - LITERALS);
        int distance = distance(readPrefixed(region.distance.read(in)), width);
        if (distance > at || length > argb.length - at) {
          throw new IOException("a reference outside of the picture");
        }
        for (int end = at + length; at < end; at++) {
          argb[at] = argb[at - distance];
        }
      } else {
        for (; cached < at; cached++) {
          cache[(CACHE_MULTIPLIER * argb[cached]) >>> (32 - cacheBits)] = argb[cached];
        }
        argb[at++] = cache[symbol - LITERALS - LENGTH_PREFIXES];
      }
    }
    return argb;
  }

  /** A length or distance from its prefix and the bits that follow (section 5.2.2). */
  private int readPrefixed(int prefix) throws IOException {
    if (prefix < 4) {
      return prefix + 1;
    }
    int bits = (prefix - 2) >> 1;
    return ((2 + (prefix & 1)) << bits) + in.read(bits) + 1;
  }

  private static int distance(int code, int width) {
    if (code > NEAR.length) {
      return code - NEAR.length;
    }
    int near = NEAR[code - 1];
    return Math.max(1, (near >> 4) * width + 8 - (near & 15));
  }

  private PrefixCode readCode(int symbols) throws IOException {
    int[] lengths = new int[symbols];
    if (in.readFlag()) {
      boolean two = in.readFlag();
      mark(lengths, in.read(in.readFlag() ? 8 : 1));
      if (two) {
        mark(lengths, in.read(8));
      }
    } else {
      readLengths(lengths);
    }
    return new PrefixCode(lengths);
  }

  private static void mark(int[] lengths, int symbol) throws IOException {
    if (symbol >= lengths.length) {
      throw new IOException("a symbol outside of its alphabet");
    }
    lengths[symbol] = 1;
  }

  private void readLengths(int[] lengths) throws IOException {
    int[] codeLengths = new int[LENGTH_CODE_ORDER.length];
    int count = in.read(4) + 4;
    for (int i = 0; i < count; i++) {
      codeLengths[LENGTH_CODE_ORDER[i]] = in.read(3);
    }
    PrefixCode code = new PrefixCode(codeLengths);
    int remaining = lengths.length;
    if (in.readFlag()) {
      remaining = 2 + in.read(2 + 2 * in.read(3));
      if (remaining > lengths.length) {
        throw new IOException("more lengths than symbols");
      }
    }
    int previous = 8;
    for (int symbol = 0; symbol < lengths.length && remaining > 0; remaining--) {
      int length = code.read(in);
      if (length < 16) {
        lengths[symbol++] = length;
        previous = length == 0 ? previous : length;
        continue;
      }
      int repeat =
          switch (length) {
            case 16 -> 3 + in.read(2);
            case 17 -> 3 + in.read(3);
            default -> 11 + in.read(7);
          };
      if (repeat > lengths.length - symbol) {
        throw new IOException("more lengths than symbols");
      }
      Arrays.fill(lengths, symbol, symbol + repeat, length == 16 ? previous : 0);
      symbol += repeat;
    }
  }
}
