package org.tessera.image;

/**
 * Rows and columns of patches in one slice, both at least 1: what the original calls {@code
 * tgt_size}, in its order.
 */
public record PatchGrid(int rows, int columns) {
  public PatchGrid {
    if (rows < 1 || columns < 1) {
      throw new IllegalArgumentException(
          "a grid of " + rows + " rows and " + columns + " columns holds no patch");
    }
  }

  /** The whole patches in a slice of this size. */
  public static PatchGrid of(Size slice, int patchSize) {
    return new PatchGrid(slice.height() / patchSize, slice.width() / patchSize);
  }

  /** Rows times columns. */
  public int patchCount() {
    return Math.multiplyExact(rows, columns);
  }
}
