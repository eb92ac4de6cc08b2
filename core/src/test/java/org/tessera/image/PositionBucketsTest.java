package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class PositionBucketsTest {
  @Test
  void equalTheOriginals() {
    JsonNode axes = Vectors.json("navit_buckets.json");
    assertThat(axes.size()).isPositive();
    for (int patches = 1; patches <= axes.size(); patches++) {
      int[] expected = axes.get(patches - 1).valueStream().mapToInt(JsonNode::asInt).toArray();
      assertThat(PositionBuckets.of(patches, 70)).as("%d patches", patches).isEqualTo(expected);
    }
  }

  @Test
  void areTheIdentityForTheTablesOwnSize() {
    for (int side : new int[] {1, 2, 3, 5, 27, 32, 64, 70}) {
      int[] positions = PositionBuckets.of(side, side);
      assertThat(positions).startsWith(0).isSorted();
      assertThat(positions[side - 1]).isBetween(side - 2, side - 1);
    }
  }

  @Test
  void stayInTheTableAndNearTheIdeal() {
    for (int side : new int[] {1, 7, 32, 70, 128}) {
      for (int patches = 1; patches <= 5000; patches += 1 + patches / 20) {
        int[] positions = PositionBuckets.of(patches, side);
        for (int k = 0; k < patches; k++) {
          int ideal = (int) ((long) side * k / patches);
          assertThat(positions[k]).isBetween(Math.max(ideal - 1, 0), ideal);
        }
      }
    }
  }
}
