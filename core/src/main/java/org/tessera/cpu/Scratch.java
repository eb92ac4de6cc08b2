package org.tessera.cpu;

/** An array that grows to the longest length asked for. Its content is whatever was left in it. */
final class Scratch {
  private float[] floats = {};

  float[] atLeast(int length) {
    if (floats.length < length) {
      floats = new float[length];
    }
    return floats;
  }
}
