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
  void invertsBlocks() {
    int lanes = fast.lanes();
    int[] steps = random.ints(64, 1, 256).toArray();
    for (int round = 0; round < 200; round++) {
      // From pictures of encoders to numbers that none writes.
      int range = 1 << random.nextInt(1, 16);
      short[] together = new short[64 + 64 * lanes];
      short[][] apart = new short[lanes][64];
      for (int lane = 0; lane < lanes; lane++) {
        for (int k = 0; k < 64; k++) {
          short value = (short) (random.nextInt(4) == 0 ? random.nextInt(-range, range) : 0);
          apart[lane][k] = value;
          together[64 + k * lanes + lane] = value;
        }
      }
      int[] samples = new int[16 * lanes];
      fast.invert(together, 64, steps, new int[64 * lanes], samples);
      for (int lane = 0; lane < lanes; lane++) {
        int[] expected = new int[16];
        plain.invert(apart[lane], 0, steps, new int[64], expected);
        for (int i = 0; i < expected.length; i++) {
          assertThat(samples[i * lanes + lane]).isEqualTo(expected[i]);
        }
      }
    }
  }

  @Test
  void widensRows() {
    for (int count = 1; count < 70; count++) {
      int[] sums = random.ints(count + 2, 0, 1021).toArray();
      byte[] expected = new byte[2 * count];
      byte[] found = new byte[2 * count];
      plain.widen(sums, count, 4, 8, 7, expected);
      fast.widen(sums, count, 4, 8, 7, found);
      assertThat(found).isEqualTo(expected);
    }
  }

  @Test
  void convertsColours() {
    for (int count = 1; count < 70; count++) {
      byte[][] row = new byte[3][count];
      for (byte[] component : row) {
        random.nextBytes(component);
      }
      byte[] expected = new byte[3 * count + 5];
      byte[] found = new byte[3 * count + 5];
      plain.yccToRgb(row[0], row[1], row[2], count, new int[count], expected, 3);
      fast.yccToRgb(row[0], row[1], row[2], count, new int[count], found, 3);
      assertThat(found).isEqualTo(expected);
    }
  }

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
