package org.tessera.image;

import java.util.Optional;
import org.tessera.error.ImageException;
import org.tessera.error.InvalidRequestException;

/**
 * How a picture is cut before it is encoded: an overview of the whole and, where the picture holds
 * more than about one slice's worth of pixels, a refined copy cut into a grid of slices. A pure
 * function of the picture's size, so that the prompt's placeholders and the pixels cannot disagree.
 *
 * <p>The arithmetic is that of MiniCPM-V 2.6's image processor (LLaVA-UHD, arXiv 2403.11703), in
 * double precision and rounding half to even, which decides between sizes in close cases.
 *
 * @param source the picture's own size
 * @param grid how the refined picture is cut; absent where the overview is all there is
 * @param overview the size of the overview, multiples of the patch size
 * @param refined the size of the refined picture, whole patches in every slice; present where the
 *     grid is
 */
public record SlicePlan(Size source, Optional<Grid> grid, Size overview, Optional<Size> refined) {
  public SlicePlan {
    if (grid.isPresent() != refined.isPresent()) {
      throw new IllegalArgumentException("a plan has both a grid and a refined size or neither");
    }
  }

  /**
   * The plan for a picture.
   *
   * @param maxSliceNums slices at most, beside the overview; at least 1
   * @param scaleResolution the side, in pixels, of the square whose area a slice should have
   * @param patchSize the side of a patch in pixels
   * @throws InvalidRequestException where {@code maxSliceNums} is below 1
   */
  public static SlicePlan of(Size source, int maxSliceNums, int scaleResolution, int patchSize) {
    if (maxSliceNums < 1) {
      throw new InvalidRequestException("max_slice_nums must be at least 1, not " + maxSliceNums);
    }
    Fit fit = new Fit(scaleResolution, patchSize);
    Optional<Grid> grid = fit.grid(source, maxSliceNums);
    if (grid.isEmpty()) {
      Size overview = fit.scaled(source.width(), source.height());
      return new SlicePlan(source, grid, overview, Optional.empty());
    }
    int columns = grid.get().columns();
    int rows = grid.get().rows();
    Size overview =
        source.pixels() > fit.area()
            ? fit.scaled(source.width(), source.height())
            : fit.rounded(source.width(), source.height());
    Size whole =
        new Size(fit.multiple(source.width(), columns), fit.multiple(source.height(), rows));
    Size slice = fit.scaled((double) whole.width() / columns, (double) whole.height() / rows);
    Size refined = new Size(slice.width() * columns, slice.height() * rows);
    return new SlicePlan(source, grid, overview, Optional.of(refined));
  }

  /**
   * The plan of {@code slice_mode: false}: the picture as it is. Pixels right of and below the last
   * whole patch are left out, as the original's patches leave them out.
   *
   * @throws ImageException where the picture holds no whole patch
   */
  public static SlicePlan unsliced(Size source, int patchSize) {
    int columns = source.width() / patchSize;
    int rows = source.height() / patchSize;
    if (columns == 0 || rows == 0) {
      throw new ImageException(
          "a picture of %s pixels is smaller than one patch of %d x %d, and slice_mode is false"
              .formatted(source, patchSize, patchSize));
    }
    Size overview = new Size(columns * patchSize, rows * patchSize);
    return new SlicePlan(source, Optional.empty(), overview, Optional.empty());
  }

  /** What is encoded: the overview and the slices of the grid. */
  public int sliceCount() {
    return 1 + grid.map(Grid::sliceCount).orElse(0);
  }

  /** The size of one slice of the refined picture; absent where there is none. */
  public Optional<Size> slice() {
    return refined.map(size -> {
      Grid cut = grid.orElseThrow();
      return new Size(size.width() / cut.columns(), size.height() / cut.rows());
    });
  }

  /** Sizes that hold whole patches and about the area of one slice. */
  private record Fit(int scaleResolution, int patchSize) {
    long area() {
      return (long) scaleResolution * scaleResolution;
    }

    /** Scales to the area of a slice, up or down, keeping the aspect ratio. */
    Size scaled(double width, double height) {
      double ratio = width / height;
      double newHeight = (int) (scaleResolution / Math.sqrt(ratio));
      double newWidth = (int) (newHeight * ratio);
      return rounded(newWidth, newHeight);
    }

    Size rounded(double width, double height) {
      return new Size(multiple(width, patchSize), multiple(height, patchSize));
    }

    int multiple(double length, int factor) {
      return (int) Math.max(Math.rint(length / factor) * factor, factor);
    }

    /**
     * The grid with nearly as many slices as the area asks for whose shape is nearest to the
     * picture's; the first of equals.
     */
    Optional<Grid> grid(Size source, int maxSliceNums) {
      double ratio = source.pixels() / (double) area();
      long wanted = (long) Math.min(Math.ceil(ratio), maxSliceNums);
      if (wanted <= 1) {
        return Optional.empty();
      }
      double logAspect = Math.log((double) source.width() / source.height());
      Grid best = new Grid(1, 1);
      double bestError = Double.POSITIVE_INFINITY;
      for (long count = Math.max(wanted - 1, 2);
          count <= Math.min(wanted + 1, maxSliceNums);
          count++) {
        for (long columns = 1; columns <= count; columns++) {
          if (count % columns != 0) {
            continue;
          }
          Grid candidate = new Grid((int) columns, (int) (count / columns));
          double error =
              Math.abs(logAspect - Math.log((double) candidate.columns() / candidate.rows()));
          if (error < bestError) {
            best = candidate;
            bestError = error;
          }
        }
      }
      return Optional.of(best);
    }
  }
}
