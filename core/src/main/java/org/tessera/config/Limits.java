package org.tessera.config;

/**
 * What no real checkpoint exceeds. Products of two or three of these stay far inside a long, and a
 * slip of the keyboard in a configuration file is named before it becomes an allocation.
 */
final class Limits {
  static final int LAYERS = 4096;
  static final int HEADS = 4096;
  static final int WIDTH = 1 << 20;
  static final int VOCABULARY = 1 << 24;
  static final int POSITIONS = 1 << 28;
  static final int QUERIES = 1 << 14;
  static final int PIXELS = 1 << 14;
  static final int PATCH_PIXELS = 1 << 10;
  static final int CHANNELS = 64;
  static final int SLICES = 1024;

  /** The smallest epsilon that is still a normal float. */
  static final double MIN_EPS = Float.MIN_NORMAL;

  static final double MAX_EPS = 1.0;

  private Limits() {}
}
