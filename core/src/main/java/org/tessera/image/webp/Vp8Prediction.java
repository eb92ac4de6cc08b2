package org.tessera.image.webp;

/** Prediction of blocks from the samples above them and to their left (RFC 6386, section 12). */
final class Vp8Prediction {
  static final int DC = 0;
  static final int TRUE_MOTION = 1;
  static final int VERTICAL = 2;
  static final int HORIZONTAL = 3;
  static final int RIGHT_DOWN = 4;
  static final int VERTICAL_RIGHT = 5;
  static final int LEFT_DOWN = 6;
  static final int VERTICAL_LEFT = 7;
  static final int HORIZONTAL_DOWN = 8;
  static final int HORIZONTAL_UP = 9;

  private Vp8Prediction() {}

  /** Predicts a whole macroblock of luma (16) or chroma (8). */
  static void predictBlock(Plane plane, int x, int y, int size, int mode) {
    int origin = plane.index(x, y);
    switch (mode) {
      case DC -> fill(plane, origin, size, average(plane, origin, size, x > 0, y > 0));
      case TRUE_MOTION -> trueMotion(plane, origin, size);
      case VERTICAL -> {
        for (int row = 0; row < size; row++) {
          System.arraycopy(
              plane.samples,
              origin - plane.stride,
              plane.samples,
              origin + row * plane.stride,
              size);
        }
      }
      default -> {
        for (int row = 0; row < size; row++) {
          int start = origin + row * plane.stride;
          for (int column = 0; column < size; column++) {
            plane.samples[start + column] = plane.samples[start - 1];
          }
        }
      }
    }
  }

  /** The mean of those neighbours that lie in the picture. */
  private static int average(Plane plane, int origin, int size, boolean left, boolean above) {
    int sum = 0;
    int count = 0;
    if (above) {
      for (int i = 0; i < size; i++) {
        sum += plane.at(origin - plane.stride + i);
      }
      count += size;
    }
    if (left) {
      for (int i = 0; i < size; i++) {
        sum += plane.at(origin + i * plane.stride - 1);
      }
      count += size;
    }
    return count == 0 ? 128 : (sum + count / 2) / count;
  }

  private static void fill(Plane plane, int origin, int size, int value) {
    for (int row = 0; row < size; row++) {
      for (int column = 0; column < size; column++) {
        plane.set(origin + row * plane.stride + column, value);
      }
    }
  }

  private static void trueMotion(Plane plane, int origin, int size) {
    int corner = plane.at(origin - plane.stride - 1);
    for (int row = 0; row < size; row++) {
      int start = origin + row * plane.stride;
      int difference = plane.at(start - 1) - corner;
      for (int column = 0; column < size; column++) {
        plane.setClamped(start + column, plane.at(origin - plane.stride + column) + difference);
      }
    }
  }

  /**
   * Predicts a block of 4 x 4 samples.
   *
   * @param aboveRight the four samples above and to the right, which need not lie there
   */
  static void predictSubblock(Plane plane, int origin, int mode, int[] aboveRight) {
    if (mode == TRUE_MOTION) {
      trueMotion(plane, origin, 4);
      return;
    }
    // The edge from the lower left over the corner (4) to the upper right.
    int[] edge = new int[13];
    for (int i = 0; i < 4; i++) {
      edge[3 - i] = plane.at(origin + i * plane.stride - 1);
      edge[5 + i] = plane.at(origin - plane.stride + i);
      edge[9 + i] = aboveRight[i];
    }
    edge[4] = plane.at(origin - plane.stride - 1);
    switch (mode) {
      case DC -> {
        int sum = 4;
        for (int i = 0; i < 4; i++) {
          sum += edge[i] + edge[5 + i];
        }
        fill(plane, origin, 4, sum >> 3);
      }
      case VERTICAL -> {
        for (int column = 0; column < 4; column++) {
          setColumn(plane, origin + column, smooth(edge, 5 + column));
        }
      }
      case HORIZONTAL -> {
        for (int row = 0; row < 4; row++) {
          int below = edge[Math.max(2 - row, 0)];
          int value = (edge[4 - row] + 2 * edge[3 - row] + below + 2) >> 2;
          for (int column = 0; column < 4; column++) {
            plane.set(origin + row * plane.stride + column, value);
          }
        }
      }
      default -> {
        for (int row = 0; row < 4; row++) {
          for (int column = 0; column < 4; column++) {
            plane.set(origin + row * plane.stride + column, diagonal(mode, edge, row, column));
          }
        }
      }
    }
  }

  private static void setColumn(Plane plane, int start, int value) {
    for (int row = 0; row < 4; row++) {
      plane.set(start + row * plane.stride, value);
    }
  }

  private static int diagonal(int mode, int[] edge, int row, int column) {
    return switch (mode) {
      case RIGHT_DOWN -> smooth(edge, 4 - row + column);
      case LEFT_DOWN -> {
        int at = 6 + row + column;
        yield at < 12 ? smooth(edge, at) : (edge[11] + 3 * edge[12] + 2) >> 2;
      }
      case VERTICAL_RIGHT -> {
        // Two rows down is one sample to the right.
        int at = 2 * column - row;
        if (at < 0) {
          yield smooth(edge, 5 + at);
        }
        yield at % 2 == 0 ? mean(edge, 4 + at / 2) : smooth(edge, 4 + (at + 1) / 2);
      }
      case HORIZONTAL_DOWN -> {
        int at = 2 * row - column;
        if (at < 0) {
          yield smooth(edge, 3 - at);
        }
        yield at % 2 == 0 ? mean(edge, 3 - at / 2) : smooth(edge, 4 - (at + 1) / 2);
      }
      case VERTICAL_LEFT -> {
        // The lower right corner does not follow the pattern of the rest.
        if (column == 3 && row >= 2) {
          yield smooth(edge, row == 2 ? 10 : 11);
        }
        int at = 5 + column + row / 2;
        yield row % 2 == 0 ? mean(edge, at) : smooth(edge, at + 1);
      }
      default -> { // Horizontal up.
        int at = 2 * row + column;
        if (at > 5) {
          yield edge[0];
        }
        if (at == 5) {
          yield (edge[1] + 3 * edge[0] + 2) >> 2;
        }
        yield at % 2 == 0 ? mean(edge, 2 - at / 2) : smooth(edge, 2 - at / 2);
      }
    };
  }

  private static int mean(int[] edge, int at) {
    return (edge[at] + edge[at + 1] + 1) >> 1;
  }

  private static int smooth(int[] edge, int at) {
    return (edge[at - 1] + 2 * edge[at] + edge[at + 1] + 2) >> 2;
  }
}
