package org.tessera.prompt;

/** How a picture is cut beside its overview: so many slices a row, so many rows. */
public record SliceGrid(int columns, int rows) {
  public SliceGrid {
    if (columns < 1 || rows < 1) {
      throw new IllegalArgumentException(
          "a grid of %d columns and %d rows".formatted(columns, rows));
    }
  }

  public int sliceCount() {
    return Math.multiplyExact(columns, rows);
  }
}
