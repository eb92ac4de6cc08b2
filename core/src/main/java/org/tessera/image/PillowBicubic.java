package org.tessera.image;

import java.util.Arrays;
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
  private static final int CHANNELS = 3;
  private static final int PRECISION_BITS = 22;
  private static final int HALF = 1 << (PRECISION_BITS - 1);

  /** Keys' cubic convolution parameter. */
  private static final double A = -0.5;

  private static final double KERNEL_RADIUS = 2;

  /** Below this many multiplications threads cost more than they bring. */
  private static final long PARALLEL_WORK = 1 << 20;

  private PillowBicubic() {}

  /** The picture at another size; the same picture where it has that size. */
  public static Image.Rgb resize(Image.Rgb picture, Size size) {
    byte[] pixels = picture.rgb();
    if (size.width() != picture.width()) {
      pixels = resizeColumns(pixels, picture.width(), picture.height(), size.width());
    }
    if (size.height() != picture.height()) {
      pixels = resizeRows(pixels, size.width(), picture.height(), size.height());
    }
    return pixels == picture.rgb()
        ? picture
        : new Image.Rgb(picture.name(), size.width(), size.height(), pixels);
  }

  private static byte[] resizeColumns(byte[] source, int width, int height, int newWidth) {
    Weights weights = Weights.of(width, newWidth);
    byte[] target = new byte[Math.multiplyExact(Math.multiplyExact(newWidth, height), CHANNELS)];
    forEachRow(
        height,
        (long) newWidth * weights.taps * CHANNELS,
        y -> weights.applyToRow(source, y * width * CHANNELS, target, y * newWidth * CHANNELS));
    return target;
  }

  private static byte[] resizeRows(byte[] source, int width, int height, int newHeight) {
    Weights weights = Weights.of(height, newHeight);
    int stride = width * CHANNELS;
    byte[] target = new byte[Math.multiplyExact(stride, newHeight)];
    forEachRow(
        newHeight,
        (long) weights.taps * stride,
        y -> weights.applyToColumns(source, stride, y, target));
    return target;
  }

  private static void forEachRow(int rows, long workPerRow, IntConsumer body) {
    IntStream range = IntStream.range(0, rows);
    (rows * workPerRow < PARALLEL_WORK ? range : range.parallel()).forEach(body);
  }

  /**
   * For each output index the first input index, how many follow, and their weights.
   *
   * @param taps the stride of {@code values}: weights at most for one output index
   */
  @SuppressWarnings("ArrayRecordComponent") // Private to this file, never compared.
  private record Weights(int[] first, int[] count, int[] values, int taps) {
    static Weights of(int inputLength, int outputLength) {
      double scale = (double) inputLength / outputLength;
      double kernelScale = Math.max(scale, 1);
      double radius = KERNEL_RADIUS * kernelScale;
      int taps = (int) Math.ceil(radius) * 2 + 1;
      int[] first = new int[outputLength];
      int[] count = new int[outputLength];
      int[] values = new int[Math.multiplyExact(outputLength, taps)];
      double[] kernel = new double[taps];
      double inverseScale = 1 / kernelScale;
      for (int i = 0; i < outputLength; i++) {
        double centre = (i + 0.5) * scale;
        int low = Math.max(0, (int) (centre - radius + 0.5));
        int high = Math.min(inputLength, (int) (centre + radius + 0.5));
        double sum = 0;
        for (int j = 0; j < high - low; j++) {
          kernel[j] = kernel((j + low - centre + 0.5) * inverseScale);
          sum += kernel[j];
        }
        double inverseSum = 1 / sum;
        for (int j = 0; j < high - low; j++) {
          double weight = kernel[j] * inverseSum * (1 << PRECISION_BITS);
          values[i * taps + j] = (int) (weight + (weight < 0 ? -0.5 : 0.5));
        }
        first[i] = low;
        count[i] = high - low;
      }
      return new Weights(first, count, values, taps);
    }

    private static double kernel(double x) {
      double d = Math.abs(x);
      if (d < 1) {
        return ((A + 2) * d - (A + 3)) * d * d + 1;
      }
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * A : 0;
    }

    void applyToRow(byte[] source, int sourceRow, byte[] target, int targetRow) {
      int out = targetRow;
      for (int i = 0; i < first.length; i++) {
        int red = HALF;
        int green = HALF;
        int blue = HALF;
        int in = sourceRow + first[i] * CHANNELS;
        int weight = i * taps;
        for (int end = weight + count[i]; weight < end; weight++, in += CHANNELS) {
          int w = values[weight];
          red += w * (source[in] & 0xff);
          green += w * (source[in + 1] & 0xff);
          blue += w * (source[in + 2] & 0xff);
        }
        target[out++] = toByte(red);
        target[out++] = toByte(green);
        target[out++] = toByte(blue);
      }
    }

    void applyToColumns(byte[] source, int stride, int targetY, byte[] target) {
      int[] sums = new int[stride];
      Arrays.fill(sums, HALF);
      for (int j = 0; j < count[targetY]; j++) {
        int w = values[targetY * taps + j];
        int row = (first[targetY] + j) * stride;
        for (int x = 0; x < stride; x++) {
          sums[x] += w * (source[row + x] & 0xff);
        }
      }
      int out = targetY * stride;
      for (int x = 0; x < stride; x++) {
        target[out + x] = toByte(sums[x]);
      }
    }

    private static byte toByte(int fixedPoint) {
      return (byte) Math.max(0, Math.min(fixedPoint >> PRECISION_BITS, 255));
    }
  }
}
