package org.tessera.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import org.tessera.error.ImageException;

/** BMP: palettes and direct colours, plain or run-length encoded. */
final class BmpDecoder {
  private static final int HEADER_SIZE_OFFSET = 14;
  private static final int WIDTH_OFFSET = 18;
  private static final int HEIGHT_OFFSET = 22;
  private static final int COMPRESSION_OFFSET = 30;

  /** The header of OS/2, with sizes of 16 bits and no compression. */
  private static final int CORE_HEADER_BYTES = 12;

  private static final int BITFIELDS = 3;

  private BmpDecoder() {}

  static Decoded decode(String name, byte[] bytes, ImageLimits limits) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    if (in.getInt(HEADER_SIZE_OFFSET) == CORE_HEADER_BYTES) {
      limits.check(
          name, in.getShort(WIDTH_OFFSET) & 0xffff, in.getShort(WIDTH_OFFSET + 2) & 0xffff);
    } else {
      // A negative height is that of a picture stored from the top.
      limits.check(name, in.getInt(WIDTH_OFFSET), Math.abs((long) in.getInt(HEIGHT_OFFSET)));
      int compression = in.getInt(COMPRESSION_OFFSET);
      if (compression < 0 || compression > BITFIELDS) {
        throw new ImageException(
            "%s: a BMP picture with compression %d is not read, only plain and run-length encoded ones"
                .formatted(name, compression));
      }
    }
    return new Decoded(Rasters.rgb(name, ImageReaders.read("bmp", bytes)), Optional.empty());
  }
}
