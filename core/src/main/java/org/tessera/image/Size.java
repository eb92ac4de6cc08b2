package org.tessera.image;

import org.tessera.error.ImageException;

/** Width and height in pixels, both at least 1. */
public record Size(int width, int height) {
  public Size {
    if (width < 1 || height < 1) {
      throw new ImageException(
          "a picture must be at least 1 x 1 pixels, not %d x %d".formatted(width, height));
    }
  }

  /** Width times height. */
  public long pixels() {
    return (long) width * height;
  }

  @Override
  public String toString() {
    return width + " x " + height;
  }
}
