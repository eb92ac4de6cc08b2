package org.tessera.image;

/**
 * Which row or column of the vision tower's position table each patch of an axis reads: the table
 * has a fixed number of positions a side, and a grid of any other size is spread over it.
 *
 * <p>The ideal position of patch {@code k} of {@code n} is {@code floor(side * k / n)}. The
 * original computes fractions with {@code torch.arange} and sorts them into buckets in float32, and
 * lands one lower for some {@code k} of n = 25, 49, 50, 55, 58 and others. Weights were trained
 * with that, so it is reproduced here, down to the vectors in which {@code arange} rounds.
 */
public final class PositionBuckets {
  /** Numbers in one vector of {@code torch.arange}. */
  private static final int VECTOR = 8;

  /** Its vector loop takes two vectors a turn; what is left is computed one by one. */
  private static final int UNROLLED = 2 * VECTOR;

  private PositionBuckets() {}

  /**
   * The table positions for an axis of {@code patches} patches.
   *
   * @param patches patches on the axis, at least 1
   * @param patchesPerSide positions of the table's side: image size over patch size
   * @return {@code patches} values, ascending, from 0 to {@code patchesPerSide - 1}
   */
  public static int[] of(int patches, int patchesPerSide) {
    if (patches < 1 || patchesPerSide < 1) {
      throw new IllegalArgumentException(
          "no positions for %d patches over %d a side".formatted(patches, patchesPerSide));
    }
    double side = 1.0 / patchesPerSide;
    float[] boundaries = arange(side, side, (int) Math.ceil((1 - side) / side));
    float[] fractions = arange(0, 1f / patches, patches);
    int[] positions = new int[patches];
    int position = 0;
    for (int k = 0; k < patches; k++) {
      // Fractions ascend, so the search goes on where the last one ended.
      while (position < boundaries.length && boundaries[position] <= fractions[k]) {
        position++;
      }
      positions[k] = position;
    }
    return positions;
  }

  /** {@code torch.arange} in float32: its vector loop rounds the first number of each eight. */
  private static float[] arange(double start, double step, int count) {
    float[] values = new float[count];
    int vectorised = count / UNROLLED * UNROLLED;
    for (int k = 0; k < count; k++) {
      int first = k / VECTOR * VECTOR;
      values[k] =
          k < vectorised
              ? (float) ((float) (start + step * first) + step * (k - first))
              : (float) (start + step * k);
    }
    return values;
  }
}
