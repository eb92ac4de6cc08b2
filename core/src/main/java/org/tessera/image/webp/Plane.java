package org.tessera.image.webp;

import java.util.Arrays;

/**
 * One channel of a picture in whole macroblocks, with the border that prediction sees: 127 above
 * and 129 to the left.
 */
final class Plane {
  private static final byte ABOVE = 127;
  private static final byte LEFT = (byte) 129;
  final byte[] samples;
  final int stride;

  Plane(int width, int height) {
    stride = width + 1;
    samples = new byte[Math.multiplyExact(stride, height + 1)];
    Arrays.fill(samples, 0, stride, ABOVE);
    for (int y = 1; y <= height; y++) {
      samples[y * stride] = LEFT;
    }
  }

  /** Where a sample lies; column and row -1 are the border. */
  int index(int x, int y) {
    return (y + 1) * stride + x + 1;
  }

  int at(int index) {
    return samples[index] & 0xff;
  }

  void set(int index, int value) {
    samples[index] = (byte) value;
  }

  void setClamped(int index, int value) {
    samples[index] = (byte) Math.clamp(value, 0, 255);
  }
}
