package org.tessera.image;

import java.util.stream.IntStream;

/** JPEG's colours to RGB, in libjpeg's fixed-point arithmetic and Pillow's. */
final class JpegColours {
  private static final int BITS = 16;
  private static final int HALF = 1 << (BITS - 1);

  /** What one core converts at a time: whole pixels of three samples. */
  private static final int PIECE_SAMPLES = 3 << 16;

  private JpegColours() {}

  static byte[] ofGrey(byte[] samples) {
    byte[] rgb = new byte[samples.length * 3];
    for (int i = 0; i < samples.length; i++) {
      rgb[3 * i] = samples[i];
      rgb[3 * i + 1] = samples[i];
      rgb[3 * i + 2] = samples[i];
    }
    return rgb;
  }

  /** Converts in place, on all cores. */
  static byte[] ofYcc(byte[] samples) {
    int pieces = Math.ceilDiv(samples.length, PIECE_SAMPLES);
    IntStream.range(0, pieces)
        .parallel()
        .forEach(piece -> {
          int end = Math.min(samples.length, (piece + 1) * PIECE_SAMPLES);
          for (int i = piece * PIECE_SAMPLES; i < end; i += 3) {
            yccToRgb(samples, i);
          }
        });
    return samples;
  }

  /** Converts in place to CMYK as it is stored: YCC holds the complement of CMY. */
  static byte[] ofYcck(byte[] samples) {
    for (int i = 0; i < samples.length; i += 4) {
      yccToRgb(samples, i);
      samples[i] = (byte) ~samples[i];
      samples[i + 1] = (byte) ~samples[i + 1];
      samples[i + 2] = (byte) ~samples[i + 2];
    }
    return samples;
  }

  private static void yccToRgb(byte[] samples, int at) {
    int luma = samples[at] & 0xff;
    int cb = (samples[at + 1] & 0xff) - 128;
    int cr = (samples[at + 2] & 0xff) - 128;
    samples[at] = clamp(luma + ((fixed(1.40200) * cr + HALF) >> BITS));
    samples[at + 1] = clamp(luma + ((-fixed(0.34414) * cb - fixed(0.71414) * cr + HALF) >> BITS));
    samples[at + 2] = clamp(luma + ((fixed(1.77200) * cb + HALF) >> BITS));
  }

  private static int fixed(double value) {
    return (int) (value * (1 << BITS) + 0.5);
  }

  /** CMYK whose bytes are inverted, as Adobe stores it and Pillow assumes. */
  static byte[] ofInvertedCmyk(byte[] samples) {
    byte[] rgb = new byte[samples.length / 4 * 3];
    for (int in = 0, out = 0; in < samples.length; in += 4) {
      int light = samples[in + 3] & 0xff;
      for (int c = 0; c < 3; c++) {
        int ink = ~samples[in + c] & 0xff;
        int product = ink * light + 128;
        rgb[out++] = clamp(light - (((product >> 8) + product) >> 8));
      }
    }
    return rgb;
  }

  /**
   * Smooths one band whose rows were repeated twice: each output row is three parts of its own
   * source row and one part of the nearer neighbour, rounded down in upper and up in lower rows.
   */
  static void smoothRows(byte[] samples, int width, int height, int bands, int band) {
    int stride = width * bands;
    int sourceRows = (height + 1) / 2;
    int[] above = new int[width];
    int[] current = new int[width];
    int[] below = new int[width];
    readRow(samples, band, bands, current);
    System.arraycopy(current, 0, above, 0, width);
    for (int row = 0; row < sourceRows; row++) {
      int next = Math.min(row + 1, sourceRows - 1);
      if (next == row) {
        System.arraycopy(current, 0, below, 0, width);
      } else {
        readRow(samples, 2 * next * stride + band, bands, below);
      }
      int out = 2 * row * stride + band;
      for (int x = 0; x < width; x++) {
        samples[out + x * bands] = (byte) ((3 * current[x] + above[x] + 1) >> 2);
      }
      if (2 * row + 1 < height) {
        for (int x = 0; x < width; x++) {
          samples[out + stride + x * bands] = (byte) ((3 * current[x] + below[x] + 2) >> 2);
        }
      }
      int[] free = above;
      above = current;
      current = below;
      below = free;
    }
  }

  private static void readRow(byte[] samples, int start, int bands, int[] row) {
    for (int x = 0; x < row.length; x++) {
      row[x] = samples[start + x * bands] & 0xff;
    }
  }

  /** Without the checks and the long of Math.clamp. */
  private static byte clamp(int value) {
    return (byte) Math.max(0, Math.min(value, 255));
  }
}
