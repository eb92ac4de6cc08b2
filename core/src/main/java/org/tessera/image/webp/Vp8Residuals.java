package org.tessera.image.webp;

import java.io.EOFException;
import java.util.Arrays;

/**
 * Coefficients of macroblocks: their tokens, step sizes and inverse transforms (sections 13, 14).
 */
final class Vp8Residuals {
  private static final int KIND_LUMA_AFTER_DC = 0;
  private static final int KIND_DC_OF_LUMA = 1;
  private static final int KIND_CHROMA = 2;
  private static final int KIND_LUMA = 3;
  private static final int BLOCKS = 24;

  /** Bands of the coefficients in coding order, and one more behind the last. */
  private static final int[] BAND = {0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0};

  private static final int[] ZIGZAG = {0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15};

  /** Probabilities of the extra bits of large values. */
  private static final int[][] EXTRA_BITS = {
    {173, 148, 140},
    {176, 155, 140, 135},
    {180, 157, 141, 134, 130},
    {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}
  };

  private final int[] probabilities;

  /** Whether the blocks above and to the left had coefficients: 4 luma, 2 + 2 chroma, 1 DC. */
  private final boolean[] above;

  private final boolean[] left = new boolean[9];

  /** Of the macroblock in work: 16 luma blocks, 4 blue and 4 red ones, in raster order. */
  private final int[] coefficients = new int[BLOCKS * 16];

  private final int[] lumaDc = new int[16];

  Vp8Residuals(int[] probabilities, int macroblockColumns) {
    this.probabilities = probabilities;
    this.above = new boolean[9 * macroblockColumns];
  }

  /** Step sizes of one segment. */
  record Steps(int lumaDc, int lumaAc, int dcDc, int dcAc, int chromaDc, int chromaAc) {}

  void startRow() {
    Arrays.fill(left, false);
  }

  /** A macroblock without coefficients. One of 4 x 4 blocks leaves the contexts of DC alone. */
  void skip(int column, boolean subblocks) {
    Arrays.fill(coefficients, 0);
    int count = subblocks ? 8 : 9;
    Arrays.fill(left, 0, count, false);
    Arrays.fill(above, 9 * column, 9 * column + count, false);
  }

  /** Reads a macroblock's coefficients and returns whether there are any. */
  boolean read(BoolDecoder in, int column, boolean subblocks, Steps steps) throws EOFException {
    Arrays.fill(coefficients, 0);
    int context = 9 * column;
    boolean any = false;
    int kind = KIND_LUMA;
    int first = 0;
    if (!subblocks) {
      Arrays.fill(lumaDc, 0);
      int contexts = (left[8] ? 1 : 0) + (above[context + 8] ? 1 : 0);
      int end = readBlock(in, KIND_DC_OF_LUMA, contexts, 0, steps.dcDc, steps.dcAc, lumaDc, 0);
      left[8] = end > 0;
      above[context + 8] = end > 0;
      spreadDc();
      kind = KIND_LUMA_AFTER_DC;
      first = 1;
    }
    any |= readPlane(in, kind, first, steps.lumaDc, steps.lumaAc, 0, 4, 0, context);
    for (int plane = 0; plane < 2; plane++) {
      any |=
          readPlane(
              in,
              KIND_CHROMA,
              0,
              steps.chromaDc,
              steps.chromaAc,
              16 + 4 * plane,
              2,
              4 + 2 * plane,
              context + 4 + 2 * plane);
    }
    return any;
  }

  private boolean readPlane(
      BoolDecoder in,
      int kind,
      int first,
      int dcStep,
      int acStep,
      int block,
      int side,
      int leftContext,
      int aboveContext)
      throws EOFException {
    boolean any = false;
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        int start = (block + y * side + x) * 16;
        int contexts = (left[leftContext + y] ? 1 : 0) + (above[aboveContext + x] ? 1 : 0);
        int end = readBlock(in, kind, contexts, first, dcStep, acStep, coefficients, start);
        left[leftContext + y] = end > first;
        above[aboveContext + x] = end > first;
        any |= end > 1 || coefficients[start] != 0;
      }
    }
    return any;
  }

  /** Reads the tokens of one block and returns the position behind the last one. */
  private int readBlock(
      BoolDecoder in, int kind, int contexts, int first, int dc, int ac, int[] target, int start)
      throws EOFException {
    int n = first;
    int p = probability(kind, n, contexts);
    while (n < 16) {
      if (!in.read(probabilities[p])) {
        return n;
      }
      while (!in.read(probabilities[p + 1])) {
        n++;
        if (n == 16) {
          return 16;
        }
        p = probability(kind, n, 0);
      }
      int value = 1;
      if (in.read(probabilities[p + 2])) {
        value = readLarge(in, p);
      }
      int signed = in.readFlag() ? -value : value;
      target[start + ZIGZAG[n]] = signed * (n == 0 ? dc : ac);
      n++;
      p = probability(kind, n, value == 1 ? 1 : 2);
    }
    return 16;
  }

  private static int probability(int kind, int position, int context) {
    return ((kind * Vp8Tables.BANDS + BAND[position]) * Vp8Tables.CONTEXTS + context)
        * Vp8Tables.NODES;
  }

  private int readLarge(BoolDecoder in, int p) throws EOFException {
    if (!in.read(probabilities[p + 3])) {
      return in.read(probabilities[p + 4]) ? 3 + in.readBit(probabilities[p + 5]) : 2;
    }
    if (!in.read(probabilities[p + 6])) {
      return in.read(probabilities[p + 7])
          ? 7 + 2 * in.readBit(165) + in.readBit(145)
          : 5 + in.readBit(159);
    }
    int upper = in.readBit(probabilities[p + 8]);
    int category = 2 * upper + in.readBit(probabilities[p + 9 + upper]);
    int extra = 0;
    for (int probability : EXTRA_BITS[category]) {
      extra = 2 * extra + in.readBit(probability);
    }
    return 3 + (8 << category) + extra;
  }

  /** The inverse Walsh-Hadamard transform: the constant coefficients of all luma blocks. */
  private void spreadDc() {
    int[] t = new int[16];
    for (int i = 0; i < 4; i++) {
      int a = lumaDc[i] + lumaDc[12 + i];
      int b = lumaDc[4 + i] + lumaDc[8 + i];
      int c = lumaDc[4 + i] - lumaDc[8 + i];
      int d = lumaDc[i] - lumaDc[12 + i];
      t[i] = a + b;
      t[4 + i] = d + c;
      t[8 + i] = a - b;
      t[12 + i] = d - c;
    }
    for (int i = 0; i < 4; i++) {
      int dc = t[4 * i] + 3;
      int a = dc + t[4 * i + 3];
      int b = t[4 * i + 1] + t[4 * i + 2];
      int c = t[4 * i + 1] - t[4 * i + 2];
      int d = dc - t[4 * i + 3];
      int block = 4 * i * 16;
      coefficients[block] = (a + b) >> 3;
      coefficients[block + 16] = (d + c) >> 3;
      coefficients[block + 32] = (a - b) >> 3;
      coefficients[block + 48] = (d - c) >> 3;
    }
  }

  /** Adds the inverse transform of a block to its prediction. */
  void add(int block, Plane plane, int origin) {
    int[] t = new int[16];
    int start = 16 * block;
    for (int i = 0; i < 4; i++) {
      int c0 = coefficients[start + i];
      int c1 = coefficients[start + 4 + i];
      int c2 = coefficients[start + 8 + i];
      int c3 = coefficients[start + 12 + i];
      butterfly(t, 4 * i, c0 + c2, c0 - c2, c1, c3);
    }
    int[] row = new int[4];
    for (int y = 0; y < 4; y++) {
      int dc = t[y] + 4;
      butterfly(row, 0, dc + t[8 + y], dc - t[8 + y], t[4 + y], t[12 + y]);
      int at = origin + y * plane.stride;
      for (int x = 0; x < 4; x++) {
        plane.setClamped(at + x, plane.at(at + x) + (row[x] >> 3));
      }
    }
  }

  private static void butterfly(int[] t, int at, int a, int b, int odd, int last) {
    int c = sine(odd) - cosine(last);
    int d = cosine(odd) + sine(last);
    t[at] = a + d;
    t[at + 1] = b + c;
    t[at + 2] = b - c;
    t[at + 3] = a - d;
  }

  /** Times the square root of 2 times the cosine of an eighth of pi. */
  private static int cosine(int value) {
    return value + (value * 20_091 >> 16);
  }

  /** Times the square root of 2 times the sine of an eighth of pi. */
  private static int sine(int value) {
    return value * 35_468 >> 16;
  }
}
