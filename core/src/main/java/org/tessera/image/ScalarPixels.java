package org.tessera.image;

import java.util.Arrays;

/** The inner loops in plain Java. */
final class ScalarPixels implements PixelKernels {
  private static final int HALF = 1 << (WEIGHT_BITS - 1);

  /** libjpeg looks samples up by their lowest ten bits; no encoder's picture needs more. */
  static final int UNUSED_BITS = 22;

  @Override
  public int lanes() {
    return 1;
  }

  @Override
  public void invert(short[] coefficients, int at, int[] steps, int[] spare, int[] samples) {
    for (int k = 0; k < BLOCK; k++) {
      spare[k] = coefficients[at + k] * steps[k];
    }
    for (int column = 0; column < 8; column++) {
      line(spare, column, 8, InverseDct.COLUMN_SHIFT);
    }
    for (int row = 0; row < BLOCK; row += 8) {
      line(spare, row, 1, InverseDct.ROW_SHIFT);
    }
    for (int i = 0; i < BLOCK / 4; i++) {
      int packed = 0;
      for (int k = 0; k < 4; k++) {
        int sample = (spare[4 * i + k] << UNUSED_BITS >> UNUSED_BITS) + 128;
        packed |= Math.max(0, Math.min(sample, 255)) << 8 * k;
      }
      samples[i] = packed;
    }
  }

  private static void line(int[] s, int at, int step, int shift) {
    int v1 = s[at + step];
    int v2 = s[at + 2 * step];
    int v3 = s[at + 3 * step];
    int v5 = s[at + 5 * step];
    int v6 = s[at + 6 * step];
    int v7 = s[at + 7 * step];
    int half = 1 << (shift - 1);
    int even = (v2 + v6) * InverseDct.F_0_541;
    int even2 = even - v6 * InverseDct.F_1_847;
    int even3 = even + v2 * InverseDct.F_0_765;
    int even0 = ((s[at] + s[at + 4 * step]) << InverseDct.BITS) + half;
    int even1 = ((s[at] - s[at + 4 * step]) << InverseDct.BITS) + half;
    int odd = (v7 + v3 + v5 + v1) * InverseDct.F_1_175;
    int odd71 = (v7 + v1) * InverseDct.F_0_899;
    int odd53 = (v5 + v3) * InverseDct.F_2_562;
    int odd73 = odd - (v7 + v3) * InverseDct.F_1_961;
    int odd51 = odd - (v5 + v1) * InverseDct.F_0_390;
    int odd0 = v7 * InverseDct.F_0_298 - odd71 + odd73;
    int odd1 = v5 * InverseDct.F_2_053 - odd53 + odd51;
    int odd2 = v3 * InverseDct.F_3_072 - odd53 + odd73;
    int odd3 = v1 * InverseDct.F_1_501 - odd71 + odd51;
    s[at] = (even0 + even3 + odd3) >> shift;
    s[at + step] = (even1 + even2 + odd2) >> shift;
    s[at + 2 * step] = (even1 - even2 + odd1) >> shift;
    s[at + 3 * step] = (even0 - even3 + odd0) >> shift;
    s[at + 4 * step] = (even0 - even3 - odd0) >> shift;
    s[at + 5 * step] = (even1 - even2 - odd1) >> shift;
    s[at + 6 * step] = (even1 + even2 - odd2) >> shift;
    s[at + 7 * step] = (even0 + even3 - odd3) >> shift;
  }

  @Override
  public void widen(int[] sums, int count, int shift, int evenHalf, int oddHalf, byte[] out) {
    widen(sums, 0, count, shift, evenHalf, oddHalf, out);
  }

  static void widen(
      int[] sums, int from, int to, int shift, int evenHalf, int oddHalf, byte[] out) {
    for (int i = from; i < to; i++) {
      int near = 3 * sums[i + 1];
      out[2 * i] = (byte) ((near + sums[i] + evenHalf) >> shift);
      out[2 * i + 1] = (byte) ((near + sums[i + 2] + oddHalf) >> shift);
    }
  }

  @Override
  public void yccToRgb(
      byte[] lumas, byte[] blues, byte[] reds, int count, int[] spare, byte[] rgb, int rgbAt) {
    for (int x = 0; x < count; x++) {
      int at = rgbAt + x * CHANNELS;
      rgb[at] = lumas[x];
      rgb[at + 1] = blues[x];
      rgb[at + 2] = reds[x];
      JpegColours.yccToRgb(rgb, at);
    }
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
