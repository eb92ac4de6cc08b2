package org.tessera.api;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.tessera.error.ImageException;
import org.tessera.image.ImageLimits;

/**
 * A picture as it came: the bytes of a file, or pixels. Nothing is decoded before a request runs.
 * The arrays are not copied and must not be changed.
 */
public sealed interface Image {
  /** What messages call it: a file name, never a whole path. */
  String name();

  /** The bytes of a PNG, JPEG, WebP, GIF, BMP or TIFF file. */
  record Encoded(String name, byte[] bytes) implements Image {}

  /** Pixels, three bytes each, row by row from the top. */
  record Rgb(String name, int width, int height, byte[] rgb) implements Image {
    public Rgb {
      if (width <= 0 || height <= 0 || rgb.length != (long) width * height * 3) {
        throw new ImageException(
            "%s: %d x %d pixels need three bytes each, there are %d"
                .formatted(name, width, height, rgb.length));
      }
    }
  }

  /**
   * Reads a file, undecoded. Of one that is over {@link ImageLimits} it reads no more than makes
   * decoding refuse it.
   *
   * @throws ImageException where the file cannot be read
   */
  static Image of(Path file) {
    String name = String.valueOf(file.getFileName());
    try (InputStream in = Files.newInputStream(file)) {
      int enough = Math.toIntExact(ImageLimits.defaults().maxBytes() + 1);
      return new Encoded(name, in.readNBytes(enough));
    } catch (IOException e) {
      throw new ImageException("the picture file " + name + " cannot be read", e);
    }
  }
}
