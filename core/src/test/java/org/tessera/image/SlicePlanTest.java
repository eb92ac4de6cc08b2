package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.tessera.error.ImageException;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;

class SlicePlanTest {
  @Test
  void equalsTheOriginalsPlans() {
    JsonNode cases = Vectors.json("slices.json");
    int scaleResolution = Vectors.preprocessor("scale_resolution");
    int patchSize = Vectors.preprocessor("patch_size");
    assertThat(cases.size()).isPositive();
    for (JsonNode c : cases) {
      Size source = new Size(c.get("w").asInt(), c.get("h").asInt());
      int maxSliceNums = c.get("max_slice_nums").asInt();
      Optional<Grid> grid = pair(c.get("grid")).map(s -> new Grid(s.width(), s.height()));
      SlicePlan expected =
          new SlicePlan(source, grid, pair(c.get("overview")).orElseThrow(), pair(c.get("refine")));
      assertThat(SlicePlan.of(source, maxSliceNums, scaleResolution, patchSize))
          .as("%s in at most %d slices", source, maxSliceNums)
          .isEqualTo(expected);
    }
  }

  private static Optional<Size> pair(JsonNode node) {
    return node.isNull()
        ? Optional.empty()
        : Optional.of(new Size(node.get(0).asInt(), node.get(1).asInt()));
  }

  @Test
  void holdsWholePatchesForEverySize() {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 200_000; i++) {
      Size source = new Size(logUniform(random, 20_000), logUniform(random, 20_000));
      int maxSliceNums = logUniform(random, 64);
      SlicePlan plan = SlicePlan.of(source, maxSliceNums, 448, 14);
      assertWholePatches(plan.overview());
      if (plan.grid().isEmpty()) {
        assertThat(plan.sliceCount()).isEqualTo(1);
        assertThat(plan.slice()).isEmpty();
        continue;
      }
      Grid grid = plan.grid().get();
      assertThat(grid.sliceCount()).isBetween(2, maxSliceNums);
      assertThat(plan.sliceCount()).isEqualTo(1 + grid.sliceCount());
      Size slice = plan.slice().orElseThrow();
      assertWholePatches(slice);
      assertThat(plan.refined())
          .contains(new Size(slice.width() * grid.columns(), slice.height() * grid.rows()));
    }
  }

  private static int logUniform(SplittableRandom random, int max) {
    return (int) Math.clamp(Math.exp(random.nextDouble() * Math.log(max + 1)), 1, max);
  }

  private static void assertWholePatches(Size size) {
    if (size.width() % 14 != 0 || size.height() % 14 != 0) {
      throw new AssertionError(size + " does not hold whole patches");
    }
    // One axis may be long, but the area stays near that of a slice.
    assertThat(PatchGrid.of(size, 14).patchCount()).isBetween(1, 4600);
  }

  @Test
  void takesTheLargestNumbers() {
    Size huge = new Size(Integer.MAX_VALUE, Integer.MAX_VALUE);
    assertThat(SlicePlan.of(huge, 9, 448, 14).grid()).contains(new Grid(3, 3));
    Size small = new Size(640, 480);
    assertThat(SlicePlan.of(small, Integer.MAX_VALUE, 448, 14))
        .isEqualTo(SlicePlan.of(small, 9, 448, 14));
  }

  @Test
  void leavesUnslicedPicturesAsTheyAre() {
    SlicePlan plan = SlicePlan.unsliced(new Size(101, 57), 14);
    assertThat(plan.overview()).isEqualTo(new Size(98, 56));
    assertThat(plan.sliceCount()).isEqualTo(1);
    assertThatThrownBy(() -> SlicePlan.unsliced(new Size(500, 13), 14))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("500 x 13");
  }

  @Test
  void refusesWhatIsNoNumberOfSlices() {
    assertThatThrownBy(() -> SlicePlan.of(new Size(10, 10), 0, 448, 14))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage("max_slice_nums must be at least 1, not 0");
    assertThatThrownBy(() -> new Size(0, 3)).isInstanceOf(ImageException.class);
  }
}
