package org.tessera.prompt;

import java.util.Optional;

/** The grid that a picture's size asks for, as the specification's section 5.1 words it. */
final class SlicePlan {
  private static final double SCALE_RESOLUTION = 448;

  private SlicePlan() {}

  static Optional<SliceGrid> grid(int width, int height, int maxSliceNums) {
    double ratio = (double) width * height / (SCALE_RESOLUTION * SCALE_RESOLUTION);
    int slices = (int) Math.min(Math.ceil(ratio), maxSliceNums);
    if (slices <= 1) {
      return Optional.empty();
    }
    SliceGrid best = new SliceGrid(1, 1);
    double smallest = Double.POSITIVE_INFINITY;
    for (int count = slices - 1; count <= slices + 1; count++) {
      for (int columns = 1; columns <= count; columns++) {
        if (count == 1 || count > maxSliceNums || count % columns != 0) {
          continue;
        }
        SliceGrid grid = new SliceGrid(columns, count / columns);
        double error =
            Math.abs(
                Math.log((double) width / height)
                    - Math.log((double) grid.columns() / grid.rows()));
        if (error < smallest) {
          smallest = error;
          best = grid;
        }
      }
    }
    return Optional.of(best);
  }
}
