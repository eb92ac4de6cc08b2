package org.tessera.image;

import com.drew.lang.ByteArrayReader;
import com.drew.metadata.Metadata;
import com.drew.metadata.exif.ExifIFD0Directory;
import com.drew.metadata.exif.ExifReader;
import org.tessera.api.Image;

/**
 * The eight ways in which a camera may have been held, in the order of EXIF's numbers 1 to 8.
 *
 * @param transposed rows are columns
 * @param mirrored the picture, after any transposition, is turned left to right
 * @param flipped the picture, after any transposition, is turned top to bottom
 */
record Orientation(boolean transposed, boolean mirrored, boolean flipped) {
  static final Orientation UPRIGHT = new Orientation(false, false, false);

  /** The orientation that an EXIF block names; upright where it names none. */
  static Orientation ofExif(byte[] exif) {
    Metadata metadata = new Metadata();
    new ExifReader().extract(new ByteArrayReader(exif), metadata);
    ExifIFD0Directory directory = metadata.getFirstDirectoryOfType(ExifIFD0Directory.class);
    Integer number =
        directory == null ? null : directory.getInteger(ExifIFD0Directory.TAG_ORIENTATION);
    return number == null ? UPRIGHT : ofNumber(number);
  }

  private static Orientation ofNumber(int number) {
    return switch (number) {
      case 2 -> new Orientation(false, true, false);
      case 3 -> new Orientation(false, true, true);
      case 4 -> new Orientation(false, false, true);
      case 5 -> new Orientation(true, false, false);
      case 6 -> new Orientation(true, true, false);
      case 7 -> new Orientation(true, true, true);
      case 8 -> new Orientation(true, false, true);
      default -> UPRIGHT;
    };
  }

  /** The picture as it was seen. */
  Image.Rgb apply(Image.Rgb stored) {
    if (equals(UPRIGHT)) {
      return stored;
    }
    int width = transposed ? stored.height() : stored.width();
    int height = transposed ? stored.width() : stored.height();
    byte[] from = stored.rgb();
    byte[] to = new byte[from.length];
    int out = 0;
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < width; column++) {
        int x = mirrored ? width - 1 - column : column;
        int y = flipped ? height - 1 - row : row;
        int in = 3 * (transposed ? x * stored.width() + y : y * stored.width() + x);
        to[out++] = from[in];
        to[out++] = from[in + 1];
        to[out++] = from[in + 2];
      }
    }
    return new Image.Rgb(stored.name(), width, height, to);
  }
}
