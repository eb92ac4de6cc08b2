package org.tessera.image;

/**
 * Which row or column of the vision tower's position table each patch of an axis reads: the table
 * has a fixed number of positions a side, and a grid of any other size is spread over it.
 *
 * <p>The ideal position of patch {@code k} of {@code n} is {@code floor(side * k / n)}. The
 * original computes fractions with {@code torch.arange} and sorts them into buckets in float32, and
 * lands one lower for some {@code k} of n = 25, 49, 50, 55, 58 and others. Weights were trained
 * with that, so it is reproduced here, down to the block of eight in which {@code arange} rounds.
 */
public final class PositionBuckets {
  /** The elements that {@code torch.arange} computes from one rounded base. */
  private static final int BLOCK = 8;

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
    float[] boundaries = boundaries(patchesPerSide);
    double step = 1f / patches;
    int wholeBlocks = patches / BLOCK * BLOCK;
    int[] positions = new int[patches];
    int position = 0;
    for (int k = 0; k < patches; k++) {
      float fraction =
          k < wholeBlocks
              ? (float) ((float) (step * (k / BLOCK * BLOCK)) + step * (k % BLOCK))
              : (float) (step * k);
      // Fractions ascend, so the search goes on where the last one ended.
      while (position < boundaries.length && boundaries[position] <= fraction) {
        position++;
      }
      positions[k] = position;
    }
    return positions;
  }

  /** The upper ends of all buckets but the last. */
  private static float[] boundaries(int patchesPerSide) {
    double step = 1.0 / patchesPerSide;
    float[] boundaries = new float[patchesPerSide - 1];
    for (int k = 0; k < boundaries.length; k++) {
      boundaries[k] = (float) (step + k * step);
    }
    return boundaries;
  }
}
