package org.tessera.image;

/**
 * What libjpeg's accurate integer inverse DCT multiplies by, in fixed point, each named by its
 * first digits; and by how many bits a pass over columns or rows shifts its results.
 */
final class InverseDct {
  /** Bits behind the point. */
  static final int BITS = 13;

  /** Columns keep two bits behind the point for the rows. */
  private static final int COLUMN_BITS = 2;

  static final int COLUMN_SHIFT = BITS - COLUMN_BITS;

  /** The sums of both passes are 8 times too large. */
  static final int ROW_SHIFT = BITS + COLUMN_BITS + 3;

  static final int F_0_298 = 2446;
  static final int F_0_390 = 3196;
  static final int F_0_541 = 4433;
  static final int F_0_765 = 6270;
  static final int F_0_899 = 7373;
  static final int F_1_175 = 9633;
  static final int F_1_501 = 12299;
  static final int F_1_847 = 15137;
  static final int F_1_961 = 16069;
  static final int F_2_053 = 16819;
  static final int F_2_562 = 20995;
  static final int F_3_072 = 25172;

  private InverseDct() {}
}
