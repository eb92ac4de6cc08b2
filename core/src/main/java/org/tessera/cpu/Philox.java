package org.tessera.cpu;

/**
 * The counter-based random numbers Philox4x32-10 of Salmon et al., "Parallel random numbers: as
 * easy as 1, 2, 3" (2011).
 */
final class Philox {
  private static final int ROUNDS = 10;
  private static final long MULTIPLIER_0 = 0xD2511F53L;
  private static final long MULTIPLIER_1 = 0xCD9E8D57L;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;

  private Philox() {}

  /**
   * The first two words under the counter {@code (counter, 0, 0, 0)}, the second above the first.
   *
   * @param key its low half is the first word
   */
  static long next(long key, int counter) {
    int c0 = counter;
    int c1 = 0;
    int c2 = 0;
    int c3 = 0;
    int k0 = (int) key;
    int k1 = (int) (key >>> Integer.SIZE);
    for (int round = 0; round < ROUNDS; round++) {
      long a = MULTIPLIER_0 * Integer.toUnsignedLong(c0);
      long b = MULTIPLIER_1 * Integer.toUnsignedLong(c2);
      c0 = (int) (b >>> Integer.SIZE) ^ c1 ^ k0;
      c1 = (int) b;
      c2 = (int) (a >>> Integer.SIZE) ^ c3 ^ k1;
      c3 = (int) a;
      k0 += WEYL_0;
      k1 += WEYL_1;
    }
    return (long) c1 << Integer.SIZE | Integer.toUnsignedLong(c0);
  }
}
