package org.tessera.image;

import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.tessera.api.Image;

/**
 * Pillow's bicubic resize of 8-bit RGB, byte for byte: two passes, columns before rows, each with
 * weights in 22-bit fixed point and its result rounded to bytes; a pass whose dimension stays is
 * left out. Downscaling widens the kernel (antialiasing), so that the result depends on every
 * pixel.
 */
public final class PillowBicubic {
  private static final int CHANNELS = PixelKernels.CHANNELS;

  /** Below this many multiplications threads cost more than they bring. */
  private static final long PARALLEL_WORK = 1 << 20;

  private PillowBicubic() {}

  /** The picture at another size; the same picture where it has that size. */
  public static Image.Rgb resize(Image.Rgb picture, Size size) {
    return resize(picture, size, new ScalarPixels());
  }

  /** The same bytes, whichever the kernels. */
  static Image.Rgb resize(Image.Rgb picture, Size size, PixelKernels kernels) {
    byte[] pixels = picture.rgb();
    if (size.width() != picture.width()) {
      pixels = resizeColumns(pixels, picture.width(), picture.height(), size.width(), kernels);
    }
    if (size.height() != picture.height()) {
      pixels = resizeRows(pixels, size.width(), picture.height(), size.height(), kernels);
    }
    return pixels == picture.rgb()
        ? picture
        : new Image.Rgb(picture.name(), size.width(), size.height(), pixels);
  }

  private static byte[] resizeColumns(
      byte[] source, int width, int height, int newWidth, PixelKernels kernels) {
    ResizeWeights weights = ResizeWeights.of(width, newWidth, kernels.lanes());
    byte[] target = new byte[Math.multiplyExact(Math.multiplyExact(newWidth, height), CHANNELS)];
    forEachRow(
        height,
        (long) newWidth * weights.taps() * CHANNELS,
        y ->
            kernels.resizeRow(
                source, y * width * CHANNELS, weights, target, y * newWidth * CHANNELS));
    return target;
  }

  private static byte[] resizeRows(
      byte[] source, int width, int height, int newHeight, PixelKernels kernels) {
    ResizeWeights weights = ResizeWeights.of(height, newHeight, /* lanes= */ 1);
    int stride = width * CHANNELS;
    byte[] target = new byte[Math.multiplyExact(stride, newHeight)];
    forEachRow(
        newHeight,
        (long) weights.taps() * stride,
        y -> kernels.resizeColumns(source, stride, weights, y, target));
    return target;
  }

  private static void forEachRow(int rows, long workPerRow, IntConsumer body) {
    IntStream range = IntStream.range(0, rows);
    (rows * workPerRow < PARALLEL_WORK ? range : range.parallel()).forEach(body);
  }
}
