package org.tessera.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * GIF, frame by frame, each drawn over those before it. Colours are Pillow's: the first frame shows
 * the colour behind a transparent index, later frames let what is there show through.
 */
final class GifDecoder {
  private static final int SIGNATURE_BYTES = 6;
  private static final int EXTENSION = 0x21;
  private static final int GRAPHIC_CONTROL = 0xf9;
  private static final int FRAME = 0x2c;
  private static final int TRAILER = 0x3b;
  private static final int HAS_PALETTE = 0x80;
  private static final int INTERLACED = 0x40;
  private static final int NONE = -1;

  /** In the order of a frame's disposal codes from 2 on. */
  private static final int TO_BACKGROUND = 2;

  private static final int TO_PREVIOUS = 3;

  /** Browsers and viewers show frames without a sensible delay for a tenth of a second. */
  private static final int DEFAULT_DELAY_CENTISECONDS = 10;

  private final String name;
  private final ByteBuffer in;
  private final ImageLimits limits;
  private final byte[] globalPalette;
  private final int backgroundIndex;
  private Size canvas;

  /** What the canvas shows; empty before the first frame. */
  private byte[] rgb = {};

  private Optional<Disposal> disposal = Optional.empty();
  private int transparentIndex = NONE;
  private int disposalCode;
  private int delayCentiseconds;

  /** What happens to the last frame's area before the next frame is drawn. */
  @SuppressWarnings("ArrayRecordComponent") // Private to this file, never compared.
  private record Disposal(int left, int top, int width, int height, byte[] pixels) {}

  GifDecoder(String name, byte[] bytes, ImageLimits limits) {
    this.name = name;
    this.in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).position(SIGNATURE_BYTES);
    this.limits = limits;
    int width = in.getShort() & 0xffff;
    int height = in.getShort() & 0xffff;
    this.canvas = limits.check(name, width, height);
    int flags = in.get();
    this.backgroundIndex = in.get() & 0xff;
    in.get(); // The aspect ratio of a pixel, which nothing heeds.
    this.globalPalette = readPalette(flags);
  }

  static Decoded decode(String name, byte[] bytes, ImageLimits limits) throws IOException {
    GifDecoder decoder = new GifDecoder(name, bytes, limits);
    if (!decoder.advance()) {
      throw new ImageException(name + ": a GIF file without a picture");
    }
    decoder.drawFrame();
    return new Decoded(decoder.picture(), Optional.empty());
  }

  /** Moves to the next frame, which is then drawn or skipped; false where there is none. */
  boolean advance() throws IOException {
    transparentIndex = NONE;
    disposalCode = 0;
    delayCentiseconds = 0;
    while (in.hasRemaining()) {
      int block = in.get() & 0xff;
      switch (block) {
        case EXTENSION -> readExtension();
        case FRAME -> {
          return true;
        }
        case TRAILER -> {
          return false;
        }
        case 0 -> {} // Some encoders pad.
        default -> throw new IOException("no block where one belongs");
      }
    }
    return false;
  }

  /** How long the frame is shown. */
  int delayCentiseconds() {
    return delayCentiseconds <= 1 ? DEFAULT_DELAY_CENTISECONDS : delayCentiseconds;
  }

  /** What is seen after the last frame drawn. */
  Image.Rgb picture() {
    return new Image.Rgb(name, canvas.width(), canvas.height(), rgb.clone());
  }

  /** Leaves the frame undrawn and returns how many pixels drawing it would have decoded. */
  long skipFrame() {
    in.position(in.position() + 4);
    long width = in.getShort() & 0xffff;
    long height = in.getShort() & 0xffff;
    readPalette(in.get());
    in.get(); // The code size.
    skipBlocks(in);
    return width * height;
  }

  private void readExtension() {
    if ((in.get() & 0xff) == GRAPHIC_CONTROL && in.get(in.position()) >= 4) {
      int start = in.position() + 1;
      int flags = in.get(start);
      disposalCode = (flags >> 2) & 7;
      delayCentiseconds = in.getShort(start + 1) & 0xffff;
      transparentIndex = (flags & 1) != 0 ? in.get(start + 3) & 0xff : NONE;
    }
    skipBlocks(in);
  }

  static void skipBlocks(ByteBuffer in) {
    for (int length = in.get() & 0xff; length != 0; length = in.get() & 0xff) {
      in.position(in.position() + length);
    }
  }

  /** Always 256 colours, black behind those of the file; empty where the file has none. */
  private byte[] readPalette(int flags) {
    if ((flags & HAS_PALETTE) == 0) {
      return new byte[0];
    }
    byte[] palette = new byte[256 * 3];
    in.get(palette, 0, 3 << ((flags & 7) + 1));
    return palette;
  }

  /** Draws the frame over those before it. */
  void drawFrame() throws IOException {
    int left = in.getShort() & 0xffff;
    int top = in.getShort() & 0xffff;
    int width = in.getShort() & 0xffff;
    int height = in.getShort() & 0xffff;
    int flags = in.get();
    limits.check(name, width, height);
    boolean first = rgb.length == 0;
    if (first) {
      // Some encoders leave the screen too small; it grows to hold the first picture.
      canvas =
          limits.check(
              name,
              Math.max(canvas.width(), left + width),
              Math.max(canvas.height(), top + height));
    }
    byte[] localPalette = readPalette(flags);
    byte[] palette = localPalette.length != 0 ? localPalette : globalPalette;
    if (palette.length == 0) {
      palette = greyPalette();
    }
    byte[] indexes = new byte[width * height];
    GifLzw.decode(in, indexes);
    if ((flags & INTERLACED) != 0) {
      indexes = deinterlaced(indexes, width, height);
    }
    if (first) {
      rgb = new byte[canvas.width() * canvas.height() * 3];
      fill(rgb, palette, Math.max(transparentIndex, 0));
    } else {
      dispose();
    }
    int shownWidth = Math.clamp(canvas.width() - left, 0, width);
    int shownHeight = shownWidth == 0 ? 0 : Math.clamp(canvas.height() - top, 0, height);
    disposal = disposalAfter(left, top, shownWidth, shownHeight, palette);
    for (int y = 0; y < shownHeight; y++) {
      int out = ((top + y) * canvas.width() + left) * 3;
      for (int x = 0; x < shownWidth; x++, out += 3) {
        int index = indexes[y * width + x] & 0xff;
        if (first || index != transparentIndex) {
          System.arraycopy(palette, 3 * index, rgb, out, 3);
        }
      }
    }
  }

  private Optional<Disposal> disposalAfter(
      int left, int top, int width, int height, byte[] palette) {
    if (disposalCode != TO_BACKGROUND && disposalCode != TO_PREVIOUS) {
      return Optional.empty();
    }
    byte[] pixels = new byte[width * height * 3];
    if (disposalCode == TO_PREVIOUS) {
      for (int y = 0; y < height; y++) {
        int from = ((top + y) * canvas.width() + left) * 3;
        System.arraycopy(rgb, from, pixels, y * width * 3, width * 3);
      }
    } else {
      fill(pixels, palette, transparentIndex != NONE ? transparentIndex : backgroundIndex);
    }
    return Optional.of(new Disposal(left, top, width, height, pixels));
  }

  private void dispose() {
    disposal.ifPresent(area -> {
      for (int y = 0; y < area.height; y++) {
        int to = ((area.top + y) * canvas.width() + area.left) * 3;
        System.arraycopy(area.pixels, y * area.width * 3, rgb, to, area.width * 3);
      }
    });
  }

  private static void fill(byte[] pixels, byte[] palette, int index) {
    for (int i = 0; i < pixels.length; i += 3) {
      System.arraycopy(palette, 3 * index, pixels, i, 3);
    }
  }

  private static byte[] greyPalette() {
    byte[] palette = new byte[256 * 3];
    for (int i = 0; i < 256; i++) {
      Arrays.fill(palette, 3 * i, 3 * i + 3, (byte) i);
    }
    return palette;
  }

  /** Rows come in four passes: every 8th from 0, every 8th from 4, every 4th from 2, the odd. */
  private static byte[] deinterlaced(byte[] stored, int width, int height) {
    byte[] rows = new byte[stored.length];
    int[] starts = {0, 4, 2, 1};
    int[] steps = {8, 8, 4, 2};
    int from = 0;
    for (int pass = 0; pass < starts.length; pass++) {
      for (int y = starts[pass]; y < height; y += steps[pass], from += width) {
        System.arraycopy(stored, from, rows, y * width, width);
      }
    }
    return rows;
  }
}
