package org.tessera.image;

import java.io.IOException;
import org.tessera.api.Image;
import org.tessera.error.ImageException;

/**
 * Pictures from files to RGB bytes, as Pillow's {@code convert("RGB")} gives them: JPEG, PNG, WebP,
 * GIF, BMP and common TIFF, told apart by their content. Of an animation this is the first frame.
 */
public final class ImageDecoder {
  private ImageDecoder() {}

  /**
   * Decodes a picture.
   *
   * @param applyExif turn the picture as its EXIF orientation says; the original model does not
   * @throws ImageException where it is not a picture of a known format, is damaged or cut off, or
   *     is over a limit
   */
  public static Image.Rgb decode(Image image, ImageLimits limits, boolean applyExif) {
    return switch (image) {
      case Image.Rgb rgb -> {
        limits.check(rgb.name(), rgb.width(), rgb.height());
        yield rgb;
      }
      case Image.Encoded encoded -> decode(encoded, limits, applyExif);
    };
  }

  private static Image.Rgb decode(Image.Encoded file, ImageLimits limits, boolean applyExif) {
    String name = file.name();
    limits.checkBytes(name, file.bytes().length);
    ImageFormat format =
        ImageFormat.of(file.bytes())
            .orElseThrow(() ->
                new ImageException(
                    name + ": not a picture in JPEG, PNG, WebP, GIF, BMP or TIFF format"));
    try {
      Decoded decoded = decode(format, name, file.bytes(), limits);
      return applyExif
          ? decoded
              .exif()
              .map(Orientation::ofExif)
              .orElse(Orientation.UPRIGHT)
              .apply(decoded.picture())
          : decoded.picture();
    } catch (ImageException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      // Decoders answer hostile bytes with any exception, and their texts are for nobody's eyes.
      throw new ImageException(
          "%s: the %s picture is damaged or cut off".formatted(name, format.label()), e);
    }
  }

  private static Decoded decode(ImageFormat format, String name, byte[] bytes, ImageLimits limits)
      throws IOException {
    return switch (format) {
      case JPEG -> JpegDecoder.decode(name, bytes, limits);
      case PNG -> PngDecoder.decode(name, bytes, limits);
      case WEBP -> WebPDecoder.decode(name, bytes, limits);
      case GIF -> GifDecoder.decode(name, bytes, limits);
      case BMP -> BmpDecoder.decode(name, bytes, limits);
      case TIFF_LITTLE_ENDIAN, TIFF_BIG_ENDIAN -> TiffDecoder.decode(name, bytes, limits);
    };
  }
}
