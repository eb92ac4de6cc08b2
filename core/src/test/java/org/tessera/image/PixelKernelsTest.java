package org.tessera.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** The fastest inner loops of this machine against the plain ones: every byte is the same. */
class PixelKernelsTest {
  private final PixelKernels plain = new ScalarPixels();
  private final PixelKernels fast = PixelWarmUp.withVectors().orElseGet(ScalarPixels::new);
  private final Random random = new Random(8);

  @Test
  void resizes() {
    for (int round = 0; round < 300; round++) {
      int width = random.nextInt(1, 120);
      int newWidth = random.nextInt(1, 120);
      int rows = random.nextInt(1, 4);
      byte[] picture = new byte[3 * width * rows];
      random.nextBytes(picture);
      byte[] expected = new byte[3 * newWidth * rows];
      byte[] found = new byte[3 * newWidth * rows];
      for (int row = 0; row < rows; row++) {
        int from = 3 * width * row;
        int to = 3 * newWidth * row;
        plain.resizeRow(picture, from, weights(width, newWidth, plain), expected, to);
        fast.resizeRow(picture, from, weights(width, newWidth, fast), found, to);
      }
      assertThat(found).isEqualTo(expected);

      ResizeWeights weights = ResizeWeights.of(rows, 5, 1);
      byte[] expectedRows = new byte[3 * width * 5];
      byte[] foundRows = new byte[3 * width * 5];
      for (int row = 0; row < 5; row++) {
        plain.resizeColumns(picture, 3 * width, weights, row, expectedRows);
        fast.resizeColumns(picture, 3 * width, weights, row, foundRows);
      }
      assertThat(foundRows).isEqualTo(expectedRows);
    }
  }

  private static ResizeWeights weights(int length, int newLength, PixelKernels kernels) {
    return ResizeWeights.of(length, newLength, kernels.lanes());
  }
}
