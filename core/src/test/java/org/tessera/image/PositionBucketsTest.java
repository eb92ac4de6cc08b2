package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class PositionBucketsTest {
  @Test
  void equalTheOriginals() {
    JsonNode axes = Vectors.json("navit_buckets.json");
    assertThat(axes.size()).isPositive();
    JsonNode vision = Vectors.json("checkpoint/config.json").get("vision_config");
    int side = vision.get("image_size").asInt() / vision.get("patch_size").asInt();
    for (int patches = 1; patches <= axes.size(); patches++) {
      int[] expected = axes.get(patches - 1).valueStream().mapToInt(JsonNode::asInt).toArray();
      assertThat(PositionBuckets.of(patches, side)).as("%d patches", patches).isEqualTo(expected);
    }
  }

  /** CRC-32 over the positions of 1 to 300 patches, as PyTorch 2.13 gives them. */
  @ParameterizedTest
  @CsvSource({
    "16, 5c73ff1b",
    "27, 9f7d5d99",
    "28, 2d16fe81",
    "32, 30758746",
    "37, b3294a47",
    "48, 6720900f",
    "64, 459123e0",
    "70, 7a6a25f2",
    "73, 778f33b0"
  })
  void equalPyTorchsForTablesOfOtherSizes(int side, String crc) {
    CRC32 sum = new CRC32();
    for (int patches = 1; patches <= 300; patches++) {
      Arrays.stream(PositionBuckets.of(patches, side)).forEach(sum::update);
    }
    assertThat(Long.toHexString(sum.getValue())).isEqualTo(crc);
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
