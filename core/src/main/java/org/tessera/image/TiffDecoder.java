package org.tessera.image;

import com.drew.lang.ByteArrayReader;
import com.drew.metadata.Metadata;
import com.drew.metadata.exif.ExifIFD0Directory;
import com.drew.metadata.exif.ExifReader;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * The common kinds of TIFF: grey, RGB and palettes of up to 16 bits a sample, plain or packed
 * without loss. The first picture of a file.
 */
final class TiffDecoder {
  private static final int UNCOMPRESSED = 1;

  /** LZW, Deflate under its two numbers, and PackBits. */
  private static final Set<Integer> COMPRESSIONS = Set.of(UNCOMPRESSED, 5, 8, 32_946, 32_773);

  private static final int MAX_PHOTOMETRIC = 3;
  private static final int MAX_SAMPLES = 4;
  private static final int MAX_BITS = 16;
  private static final int CONTIGUOUS = 1;
  private static final int TAG_COLOUR_MAP = 0x140;

  private TiffDecoder() {}

  static Decoded decode(String name, byte[] bytes, ImageLimits limits) throws IOException {
    Metadata metadata = new Metadata();
    new ExifReader().extract(new ByteArrayReader(bytes), metadata);
    ExifIFD0Directory tags = metadata.getFirstDirectoryOfType(ExifIFD0Directory.class);
    if (tags == null) {
      throw new IOException("no directory");
    }
    Size size =
        limits.check(
            name,
            required(tags, ExifIFD0Directory.TAG_IMAGE_WIDTH),
            required(tags, ExifIFD0Directory.TAG_IMAGE_HEIGHT));
    long tileWidth = tag(tags, ExifIFD0Directory.TAG_TILE_WIDTH, size.width());
    long tileHeight = tag(tags, ExifIFD0Directory.TAG_TILE_LENGTH, size.height());
    limits.check(name, tileWidth, tileHeight);
    checkKind(name, tags);
    BufferedImage image = ImageReaders.read("tiff", bytes);
    int[] palette = tags.getIntArray(TAG_COLOUR_MAP);
    return new Decoded(rgb(name, image, palette), Optional.of(bytes));
  }

  private static Image.Rgb rgb(String name, BufferedImage image, int @Nullable [] palette) {
    if (image.getColorModel() instanceof IndexColorModel && palette != null) {
      return Rasters.ofPalette(name, image.getRaster(), colours(palette));
    }
    return Rasters.isGreyOf16Bits(image)
        ? Rasters.clippedGrey(name, image.getRaster())
        : Rasters.rgb(name, image);
  }

  /** All reds, then all greens and blues, of 16 bits each; Pillow takes the upper 8. */
  private static int[] colours(int[] palette) {
    int count = palette.length / 3;
    int[] colours = new int[count];
    for (int i = 0; i < count; i++) {
      int red = palette[i] >> 8 & 0xff;
      int green = palette[count + i] >> 8 & 0xff;
      int blue = palette[2 * count + i] >> 8 & 0xff;
      colours[i] = red << 16 | green << 8 | blue;
    }
    return colours;
  }

  private static void checkKind(String name, ExifIFD0Directory tags) {
    long compression = tag(tags, ExifIFD0Directory.TAG_COMPRESSION, UNCOMPRESSED);
    long photometric = tag(tags, ExifIFD0Directory.TAG_PHOTOMETRIC_INTERPRETATION, 0);
    long samples = tag(tags, ExifIFD0Directory.TAG_SAMPLES_PER_PIXEL, 1);
    int[] bits = tags.getIntArray(ExifIFD0Directory.TAG_BITS_PER_SAMPLE);
    long planes = tag(tags, ExifIFD0Directory.TAG_PLANAR_CONFIGURATION, CONTIGUOUS);
    boolean common =
        compression == (int) compression
            && COMPRESSIONS.contains((int) compression)
            && photometric <= MAX_PHOTOMETRIC
            && samples >= 1
            && samples <= MAX_SAMPLES
            && planes == CONTIGUOUS
            && (bits == null || Arrays.stream(bits).allMatch(b -> b >= 1 && b <= MAX_BITS));
    if (!common) {
      throw new ImageException(
          "%s: this kind of TIFF is not read; save it as grey or RGB without JPEG or fax compression"
              .formatted(name));
    }
  }

  private static long required(ExifIFD0Directory tags, int tag) throws IOException {
    Long value = tags.getLongObject(tag);
    if (value == null) {
      throw new IOException("a directory without tag " + tag);
    }
    return value;
  }

  private static long tag(ExifIFD0Directory tags, int tag, long absent) {
    Long value = tags.getLongObject(tag);
    return value == null ? absent : value;
  }
}
