package org.tessera.image;

import org.tessera.error.ImageException;

/**
 * What a picture may cost. All but the bytes are read from its header and checked before a pixel is
 * decoded.
 *
 * @param maxBytes of the encoded file
 * @param maxPixels width times height; decoding needs up to 11 bytes for each
 * @param maxSidePixels of width and of height
 * @param maxAspectRatio the longer side over the shorter one, which decides the longest row of
 *     patches
 */
public record ImageLimits(long maxBytes, long maxPixels, int maxSidePixels, int maxAspectRatio) {
  public ImageLimits {
    if (maxBytes < 1 || maxPixels < 1 || maxSidePixels < 1 || maxAspectRatio < 1) {
      throw new IllegalArgumentException("limits of pictures must be at least 1");
    }
  }

  /** 50 MB, 64 megapixels, 65,535 pixels a side, 20,000 to 1: decoding stays under 1 GB. */
  public static ImageLimits defaults() {
    return new ImageLimits(50_000_000, 64_000_000, 65_535, 20_000);
  }

  void checkBytes(String name, long bytes) {
    if (bytes > maxBytes) {
      throw new ImageException(
          "%s: %d bytes are over the limit of %d".formatted(name, bytes, maxBytes));
    }
  }

  /** A header's numbers as a size within the limits. */
  Size check(String name, long width, long height) {
    if (width < 1 || height < 1) {
      throw new ImageException(
          "%s: a picture must be at least 1 x 1 pixels, not %d x %d"
              .formatted(name, width, height));
    }
    if (width > maxSidePixels || height > maxSidePixels) {
      throw new ImageException(
          "%s: %d x %d pixels are over the limit of %d a side"
              .formatted(name, width, height, maxSidePixels));
    }
    if (width * height > maxPixels) {
      throw new ImageException(
          "%s: %d x %d pixels are over the limit of %d in all"
              .formatted(name, width, height, maxPixels));
    }
    if (Math.max(width, height) > Math.min(width, height) * maxAspectRatio) {
      throw new ImageException(
          "%s: %d x %d pixels are over the limit of %d to 1 for the aspect ratio"
              .formatted(name, width, height, maxAspectRatio));
    }
    return new Size((int) width, (int) height);
  }
}
