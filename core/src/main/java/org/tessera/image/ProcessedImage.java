package org.tessera.image;

import java.util.List;

/**
 * A picture, resized and cut.
 *
 * @param source its own size
 * @param plan how it was cut
 * @param slices the overview, then the slices of the grid, row by row from the top left
 */
public record ProcessedImage(Size source, SlicePlan plan, List<ProcessedSlice> slices) {
  public ProcessedImage {
    slices = List.copyOf(slices);
  }
}
