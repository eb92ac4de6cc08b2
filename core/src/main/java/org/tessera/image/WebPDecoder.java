package org.tessera.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import org.tessera.api.Image;
import org.tessera.image.webp.WebPLossless;
import org.tessera.image.webp.WebPLossy;

/**
 * WebP, lossy and lossless: the container, of which the chunk of the picture or of the first frame
 * is decoded. Alpha is left out, so that its chunk is not even looked at.
 */
final class WebPDecoder {
  private static final int RIFF_HEADER_BYTES = 12;
  private static final int CHUNK_HEADER_BYTES = 8;
  private static final int FRAME_HEADER_BYTES = 16;
  private static final int VP8 = fourCc("VP8 ");
  private static final int VP8L = fourCc("VP8L");
  private static final int VP8X = fourCc("VP8X");
  private static final int ANMF = fourCc("ANMF");
  private static final int EXIF = fourCc("EXIF");
  private static final int LOSSLESS_SIGNATURE = 0x2f;
  private static final byte[] EXIF_PREFIX = {'E', 'x', 'i', 'f', 0, 0};

  private final String name;
  private final ByteBuffer in;
  private final ImageLimits limits;
  private Optional<Size> canvas = Optional.empty();
  private Optional<Frame> frame = Optional.empty();
  private Optional<byte[]> exif = Optional.empty();

  /** Where the first picture's data lie in the file, and the picture on the canvas. */
  private record Frame(boolean lossless, int start, int end, int left, int top, Size size) {}

  private WebPDecoder(String name, byte[] bytes, ImageLimits limits) {
    this.name = name;
    this.in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    this.limits = limits;
  }

  static Decoded decode(String name, byte[] bytes, ImageLimits limits) throws IOException {
    WebPDecoder decoder = new WebPDecoder(name, bytes, limits);
    long riffBytes = CHUNK_HEADER_BYTES + Integer.toUnsignedLong(decoder.in.getInt(4));
    if (decoder.in.getInt(0) != fourCc("RIFF") || riffBytes > bytes.length) {
      throw new IOException("not a whole RIFF file");
    }
    decoder.readChunks(RIFF_HEADER_BYTES, (int) riffBytes, 0, 0);
    return new Decoded(decoder.decodeFrame(), decoder.exif);
  }

  private void readChunks(int start, int end, int left, int top) throws IOException {
    int position = start;
    while (end - position >= CHUNK_HEADER_BYTES) {
      int type = in.getInt(position);
      int length = in.getInt(position + 4);
      int data = position + CHUNK_HEADER_BYTES;
      if (length < 0 || length > end - data) {
        throw new IOException("a chunk ends after its file");
      }
      if (type == VP8X) {
        canvas = Optional.of(limits.check(name, uint24(data + 4) + 1L, uint24(data + 7) + 1L));
      } else if (type == ANMF && frame.isEmpty()) {
        readChunks(
            data + FRAME_HEADER_BYTES, data + length, 2 * uint24(data), 2 * uint24(data + 3));
      } else if ((type == VP8 || type == VP8L) && frame.isEmpty()) {
        Size size = type == VP8 ? lossySize(data) : losslessSize(data);
        frame = Optional.of(new Frame(type == VP8L, data, data + length, left, top, size));
      } else if (type == EXIF && exif.isEmpty()) {
        exif = Optional.of(tiffBlock(data, length));
      }
      // Chunks begin at even positions.
      position = data + length + (length & 1);
    }
  }

  private Size lossySize(int data) {
    // Three bytes of frame tag and three of start code come first; above 14 bits is a scale.
    return limits.check(name, in.getShort(data + 6) & 0x3fff, in.getShort(data + 8) & 0x3fff);
  }

  private Size losslessSize(int data) throws IOException {
    if (in.get(data) != LOSSLESS_SIGNATURE) {
      throw new IOException("no lossless signature");
    }
    int sizes = in.getInt(data + 1);
    return limits.check(name, (sizes & 0x3fff) + 1L, ((sizes >> 14) & 0x3fff) + 1L);
  }

  private byte[] tiffBlock(int data, int length) {
    byte[] block = Arrays.copyOfRange(in.array(), data, data + length);
    boolean prefixed =
        length >= EXIF_PREFIX.length
            && Arrays.equals(block, 0, EXIF_PREFIX.length, EXIF_PREFIX, 0, EXIF_PREFIX.length);
    return prefixed ? Arrays.copyOfRange(block, EXIF_PREFIX.length, length) : block;
  }

  private Image.Rgb decodeFrame() throws IOException {
    Frame first = frame.orElseThrow(() -> new IOException("no picture chunk"));
    int width = first.size.width();
    int height = first.size.height();
    byte[] rgb =
        first.lossless
            ? WebPLossless.decode(in.array(), first.start, first.end, width, height)
            : WebPLossy.decode(in.array(), first.start, first.end, width, height);
    Image.Rgb picture = new Image.Rgb(name, width, height, rgb);
    return canvas.isEmpty() || canvas.get().equals(first.size)
        ? picture
        : onCanvas(picture, first, canvas.get());
  }

  /** A first frame that is smaller than its animation, on black. */
  private static Image.Rgb onCanvas(Image.Rgb picture, Frame frame, Size canvas)
      throws IOException {
    Size size = frame.size;
    if (frame.left + size.width() > canvas.width() || frame.top + size.height() > canvas.height()) {
      throw new IOException("a frame outside of its canvas");
    }
    byte[] rgb = new byte[canvas.width() * canvas.height() * 3];
    int stride = size.width() * 3;
    for (int y = 0; y < size.height(); y++) {
      int to = ((frame.top + y) * canvas.width() + frame.left) * 3;
      System.arraycopy(picture.rgb(), y * stride, rgb, to, stride);
    }
    return new Image.Rgb(picture.name(), canvas.width(), canvas.height(), rgb);
  }

  private int uint24(int at) {
    return (in.getShort(at) & 0xffff) | (in.get(at + 2) & 0xff) << 16;
  }

  private static int fourCc(String name) {
    return name.charAt(0) | name.charAt(1) << 8 | name.charAt(2) << 16 | name.charAt(3) << 24;
  }
}
