package org.tessera.image;

/**
 * The inner loops of decoding and resizing, in exact integer arithmetic. What is cut how and runs
 * on which thread is decided above.
 */
interface PixelKernels {
  int CHANNELS = 3;

  /** Coefficients of a block of JPEG's. */
  int BLOCK = 64;

  /** Weights of a resize are fixed-point numbers with so many bits behind the point. */
  int WEIGHT_BITS = 22;

  /**
   * The fastest that this machine has ready: plain ones at first, those with vectors once they are
   * compiled, which the first call has done in the background. Every byte is the same.
   */
  static PixelKernels best() {
    return PixelWarmUp.ready();
  }

  /** Blocks that {@link #invert} takes at a time. */
  int lanes();

  /**
   * Inverse DCTs of {@link #lanes} blocks: libjpeg's accurate integer one ("islow"), bit for bit.
   *
   * @param coefficients [64][lanes] from {@code at} on, each block row by row
   * @param steps by which the 64 coefficients are multiplied
   * @param spare [64][lanes]
   * @param samples [16][lanes], filled with four samples each, the first one lowest
   */
  void invert(short[] coefficients, int at, int[] steps, int[] spare, int[] samples);

  /**
   * Doubles a row of sums: {@code out[2i] = (3 sums[i+1] + sums[i] + evenHalf) >> shift} and {@code
   * out[2i+1] = (3 sums[i+1] + sums[i+2] + oddHalf) >> shift}.
   *
   * @param sums one more before the first and after the last of {@code count}
   */
  void widen(int[] sums, int count, int shift, int evenHalf, int oddHalf, byte[] out);

  /**
   * JPEG's luma and chroma to red, green and blue, in libjpeg's fixed-point arithmetic.
   *
   * @param spare {@code count} ints
   */
  void yccToRgb(
      byte[] lumas, byte[] blues, byte[] reds, int count, int[] spare, byte[] rgb, int rgbAt);

  /**
   * Resizes one row of RGB pixels.
   *
   * @param weights made for {@link #lanes}
   * @param source the row begins at {@code sourceAt}
   * @param target the new row begins at {@code targetAt}
   */
  void resizeRow(byte[] source, int sourceAt, ResizeWeights weights, byte[] target, int targetAt);

  /**
   * Computes one row of a picture of another height.
   *
   * @param source the whole picture, rows of {@code stride} bytes
   * @param row of the new picture
   */
  void resizeColumns(byte[] source, int stride, ResizeWeights weights, int row, byte[] target);
}
