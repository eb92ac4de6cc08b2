package org.tessera.image;

import java.util.Arrays;

/** The inner loops in plain Java. */
final class ScalarPixels implements PixelKernels {
  private static final int HALF = 1 << (WEIGHT_BITS - 1);

  @Override
  public int lanes() {
    return 1;
  }

  @Override
  public void resizeRow(
      byte[] source, int sourceAt, ResizeWeights weights, byte[] target, int targetAt) {
    for (int i = 0; i < weights.length(); i++) {
      resizePixel(source, sourceAt, weights, i, target, targetAt + i * CHANNELS);
    }
  }

  /** Computes pixel {@code i} of a resized row. */
  static void resizePixel(
      byte[] source, int sourceAt, ResizeWeights weights, int i, byte[] target, int out) {
    int red = HALF;
    int green = HALF;
    int blue = HALF;
    int in = sourceAt + weights.first()[i] * CHANNELS;
    int weight = i * weights.taps();
    for (int end = weight + weights.count()[i]; weight < end; weight++, in += CHANNELS) {
      int w = weights.values()[weight];
      red += w * (source[in] & 0xff);
      green += w * (source[in + 1] & 0xff);
      blue += w * (source[in + 2] & 0xff);
    }
    target[out] = toByte(red);
    target[out + 1] = toByte(green);
    target[out + 2] = toByte(blue);
  }

  @Override
  public void resizeColumns(
      byte[] source, int stride, ResizeWeights weights, int row, byte[] target) {
    int[] sums = new int[stride];
    Arrays.fill(sums, HALF);
    for (int j = 0; j < weights.count()[row]; j++) {
      int w = weights.values()[row * weights.taps() + j];
      int in = (weights.first()[row] + j) * stride;
      for (int x = 0; x < stride; x++) {
        sums[x] += w * (source[in + x] & 0xff);
      }
    }
    int out = row * stride;
    for (int x = 0; x < stride; x++) {
      target[out + x] = toByte(sums[x]);
    }
  }

  private static byte toByte(int fixedPoint) {
    return (byte) Math.max(0, Math.min(fixedPoint >> WEIGHT_BITS, 255));
  }
}
