package org.tessera.cpu;

import java.util.Arrays;

/**
 * Cosines and sines of rotary position embedding for one head width and theta, computed once for
 * each position and kept. As in the original, frequency and angle are rounded to float.
 */
final class RopeTable {
  private static final int FIRST_POSITIONS = 256;

  private final int half;
  private final float[] inverseFrequencies;
  private float[] cosines = {};
  private float[] sines = {};

  RopeTable(int headWidth, double theta) {
    half = headWidth / 2;
    inverseFrequencies = new float[half];
    for (int j = 0; j < half; j++) {
      inverseFrequencies[j] = inverseFrequency(j, headWidth, theta);
    }
  }

  /** {@code theta^(-2j/headWidth)} rounded where float32 PyTorch code rounds it. */
  static float inverseFrequency(int j, int headWidth, double theta) {
    float exponent = (float) (2 * j) / headWidth;
    return 1f / (float) Math.pow(theta, exponent);
  }

  /** Makes {@link #cosines} and {@link #sines} reach up to and including {@code position}. */
  void reach(int position) {
    int known = half == 0 ? 0 : cosines.length / half;
    if (position < known) {
      return;
    }
    int positions = Math.max(FIRST_POSITIONS, Math.max(position + 1, 2 * known));
    int first = cosines.length;
    cosines = Arrays.copyOf(cosines, Math.multiplyExact(positions, half));
    sines = Arrays.copyOf(sines, cosines.length);
    for (int i = first; i < cosines.length; i++) {
      float angle = i / half * inverseFrequencies[i % half];
      cosines[i] = (float) Math.cos(angle);
      sines[i] = (float) Math.sin(angle);
    }
  }

  /** {@code [positions, headWidth / 2]}. */
  float[] cosines() {
    return cosines;
  }

  /** {@code [positions, headWidth / 2]}. */
  float[] sines() {
    return sines;
  }
}
