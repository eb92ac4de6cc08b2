package org.tessera.image;

/**
 * The inner loops of resizing, in exact integer arithmetic. What is cut how and runs on which
 * thread is decided above.
 */
interface PixelKernels {
  int CHANNELS = 3;

  /** Weights of a resize are fixed-point numbers with so many bits behind the point. */
  int WEIGHT_BITS = 22;

  /** Ints of the vectors that weights must be spread for; 1 for none. */
  int lanes();

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
