package org.tessera.image;

/** How a refined picture is cut: columns and rows of slices, both at least 1. */
public record Grid(int columns, int rows) {
  public Grid {
    if (columns < 1 || rows < 1) {
      throw new IllegalArgumentException(
          "a grid of " + columns + " columns and " + rows + " rows holds no slice");
    }
  }

  /** Columns times rows. */
  public int sliceCount() {
    return Math.multiplyExact(columns, rows);
  }
}
