package org.tessera.image;

/**
 * Pillow's bicubic weights along one axis, as its fixed-point integers: for each output index the
 * first input index, how many follow, and their weights.
 *
 * @param taps the stride of {@code values}: weights at most for one output index; those that are
 *     not there are 0
 * @param spread where vectors take several pixels, of each output index as many vectors as its
 *     weights need, each weight repeated for its pixel's channels; else empty
 */
@SuppressWarnings("ArrayRecordComponent") // Of this package alone, never compared.
record ResizeWeights(int[] first, int[] count, int[] values, int taps, int[] spread) {
  /** Keys' cubic convolution parameter. */
  private static final double A = -0.5;

  private static final double KERNEL_RADIUS = 2;

  /**
   * @param lanes ints of a vector; 1 for none
   */
  static ResizeWeights of(int inputLength, int outputLength, int lanes) {
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
        double weight = kernel[j] * inverseSum * (1 << PixelKernels.WEIGHT_BITS);
        values[i * taps + j] = (int) (weight + (weight < 0 ? -0.5 : 0.5));
      }
      first[i] = low;
      count[i] = high - low;
    }
    return new ResizeWeights(first, count, values, taps, spread(values, taps, lanes));
  }

  private static int[] spread(int[] values, int taps, int lanes) {
    int pixels = lanes / PixelKernels.CHANNELS;
    if (pixels == 0) {
      return new int[0];
    }
    int steps = Math.ceilDiv(taps, pixels);
    int[] spread = new int[Math.multiplyExact(values.length / taps * steps, lanes)];
    for (int i = 0; i < values.length; i++) {
      int tap = i % taps;
      int at = (i / taps * steps + tap / pixels) * lanes + tap % pixels * PixelKernels.CHANNELS;
      for (int c = 0; c < PixelKernels.CHANNELS; c++) {
        spread[at + c] = values[i];
      }
    }
    return spread;
  }

  private static double kernel(double x) {
    double d = Math.abs(x);
    if (d < 1) {
      return ((A + 2) * d - (A + 3)) * d * d + 1;
    }
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * A : 0;
  }

  /** Output indices. */
  int length() {
    return first.length;
  }
}
