package org.tessera.image.webp;

/** The filter that smooths the edges of blocks after reconstruction (RFC 6386, section 15). */
final class Vp8LoopFilter {
  private Vp8LoopFilter() {}

  /**
   * How strongly a macroblock is filtered.
   *
   * @param limit of the step over an edge; 0 is no filter
   * @param interiorLimit of the steps beside it
   * @param highVariance from which only the two samples at the edge change
   * @param inner whether the edges of its 4 x 4 blocks are filtered too
   */
  record Strength(int limit, int interiorLimit, int highVariance, boolean inner) {
    static final Strength NONE = new Strength(0, 0, 0, false);

    static Strength of(int level, int sharpness, boolean inner) {
      if (level <= 0) {
        return NONE;
      }
      int bounded = Math.min(level, 63);
      int interior = bounded;
      if (sharpness > 0) {
        interior = Math.min(interior >> (sharpness > 4 ? 2 : 1), 9 - sharpness);
      }
      interior = Math.max(interior, 1);
      int highVariance = bounded >= 40 ? 2 : bounded >= 15 ? 1 : 0;
      return new Strength(2 * bounded + interior, interior, highVariance, inner);
    }

    Strength withInner(boolean value) {
      return new Strength(limit, interiorLimit, highVariance, value);
    }
  }

  /** Filters a macroblock's luma at the two samples of each edge. */
  static void simple(Plane luma, int column, int row, Strength strength) {
    if (strength.limit == 0) {
      return;
    }
    int origin = luma.index(16 * column, 16 * row);
    int inner = strength.inner ? 16 : 1;
    for (int x = column > 0 ? 0 : 4; x < inner; x += 4) {
      int limit = strength.limit + (x == 0 ? 4 : 0);
      simpleEdge(luma, origin + x, luma.stride, 1, limit);
    }
    for (int y = row > 0 ? 0 : 4; y < inner; y += 4) {
      int limit = strength.limit + (y == 0 ? 4 : 0);
      simpleEdge(luma, origin + y * luma.stride, 1, luma.stride, limit);
    }
  }

  private static void simpleEdge(Plane plane, int start, int along, int across, int limit) {
    for (int i = 0, at = start; i < 16; i++, at += along) {
      if (withinLimit(plane, at, across, limit)) {
        changeTwo(plane, at, across);
      }
    }
  }

  /** Filters one plane of a macroblock of this size in samples. */
  static void normal(Plane plane, int size, int column, int row, Strength strength) {
    if (strength.limit == 0) {
      return;
    }
    int origin = plane.index(size * column, size * row);
    int inner = strength.inner ? size : 1;
    for (int x = column > 0 ? 0 : 4; x < inner; x += 4) {
      normalEdge(plane, origin + x, plane.stride, 1, size, strength, x == 0);
    }
    for (int y = row > 0 ? 0 : 4; y < inner; y += 4) {
      normalEdge(plane, origin + y * plane.stride, 1, plane.stride, size, strength, y == 0);
    }
  }

  private static void normalEdge(
      Plane plane,
      int start,
      int along,
      int across,
      int length,
      Strength strength,
      boolean macroblockEdge) {
    int limit = strength.limit + (macroblockEdge ? 4 : 0);
    for (int i = 0, at = start; i < length; i++, at += along) {
      if (!withinLimit(plane, at, across, limit)
          || !isSmooth(plane, at, across, strength.interiorLimit)) {
        continue;
      }
      boolean highVariance =
          difference(plane, at - 2 * across, at - across) > strength.highVariance
              || difference(plane, at + across, at) > strength.highVariance;
      if (highVariance) {
        changeTwo(plane, at, across);
      } else if (macroblockEdge) {
        changeSix(plane, at, across);
      } else {
        changeFour(plane, at, across);
      }
    }
  }

  private static int difference(Plane plane, int a, int b) {
    return Math.abs(plane.at(a) - plane.at(b));
  }

  private static boolean withinLimit(Plane plane, int at, int across, int limit) {
    return 2 * difference(plane, at - across, at)
            + (difference(plane, at - 2 * across, at + across) >> 1)
        <= limit;
  }

  private static boolean isSmooth(Plane plane, int at, int across, int limit) {
    for (int i = 1; i <= 3; i++) {
      if (difference(plane, at - (i + 1) * across, at - i * across) > limit
          || difference(plane, at + i * across, at + (i - 1) * across) > limit) {
        return false;
      }
    }
    return true;
  }

  private static void changeTwo(Plane plane, int at, int across) {
    int step =
        3 * (plane.at(at) - plane.at(at - across))
            + signedByte(plane.at(at - 2 * across) - plane.at(at + across));
    plane.setClamped(at - across, plane.at(at - across) + eighth(step + 3));
    plane.setClamped(at, plane.at(at) - eighth(step + 4));
  }

  private static void changeFour(Plane plane, int at, int across) {
    int step = 3 * (plane.at(at) - plane.at(at - across));
    int upper = eighth(step + 4);
    int outer = (upper + 1) >> 1;
    plane.setClamped(at - 2 * across, plane.at(at - 2 * across) + outer);
    plane.setClamped(at - across, plane.at(at - across) + eighth(step + 3));
    plane.setClamped(at, plane.at(at) - upper);
    plane.setClamped(at + across, plane.at(at + across) - outer);
  }

  private static void changeSix(Plane plane, int at, int across) {
    int step =
        signedByte(
            3 * (plane.at(at) - plane.at(at - across))
                + signedByte(plane.at(at - 2 * across) - plane.at(at + across)));
    for (int i = 1; i <= 3; i++) {
      int change = (9 * (4 - i) * step + 63) >> 7;
      plane.setClamped(at - i * across, plane.at(at - i * across) + change);
      plane.setClamped(at + (i - 1) * across, plane.at(at + (i - 1) * across) - change);
    }
  }

  private static int eighth(int value) {
    return Math.clamp(value >> 3, -16, 15);
  }

  private static int signedByte(int value) {
    return Math.clamp(value, -128, 127);
  }
}
