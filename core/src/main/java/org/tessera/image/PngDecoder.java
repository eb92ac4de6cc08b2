package org.tessera.image;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.CRC32;
import org.tessera.api.Image;

/**
 * PNG of all colour types and depths. The chunks are walked and checked here; the platform's reader
 * sees only those that hold the picture, so that no text or profile is ever inflated.
 */
final class PngDecoder {
  private static final int SIGNATURE_BYTES = 8;
  private static final int IHDR = 0x49484452;
  private static final int PLTE = 0x504c5445;
  private static final int IDAT = 0x49444154;
  private static final int IEND = 0x49454e44;
  private static final int EXIF = 0x65584966;

  private PngDecoder() {}

  static Decoded decode(String name, byte[] bytes, ImageLimits limits) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(bytes).position(SIGNATURE_BYTES);
    ByteArrayOutputStream picture = new ByteArrayOutputStream(bytes.length);
    picture.write(bytes, 0, SIGNATURE_BYTES);
    Optional<byte[]> exif = Optional.empty();
    int type;
    do {
      int start = in.position();
      int length = in.getInt();
      type = in.getInt();
      int data = in.position();
      if (length < 0 || (start == SIGNATURE_BYTES) != (type == IHDR)) {
        throw new IOException("no chunk where one belongs");
      }
      in.position(Math.addExact(data, length));
      int crc = in.getInt();
      switch (type) {
        case IHDR ->
            limits.check(
                name,
                Integer.toUnsignedLong(in.getInt(data)),
                Integer.toUnsignedLong(in.getInt(data + 4)));
        case EXIF -> exif = Optional.of(Arrays.copyOfRange(bytes, data, data + length));
        default -> {}
      }
      if (type == IHDR || type == PLTE || type == IDAT || type == IEND) {
        CRC32 computed = new CRC32();
        computed.update(bytes, start + 4, length + 4);
        if ((int) computed.getValue() != crc) {
          throw new IOException("a chunk does not have its checksum");
        }
        picture.write(bytes, start, in.position() - start);
      }
    } while (type != IEND);
    BufferedImage image = ImageReaders.read("png", picture.toByteArray());
    Image.Rgb rgb =
        Rasters.isGreyOf16Bits(image)
            ? Rasters.clippedGrey(name, image.getRaster())
            : Rasters.rgb(name, image);
    return new Decoded(rgb, exif);
  }
}
