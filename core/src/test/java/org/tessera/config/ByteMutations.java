package org.tessera.config;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;

/** Small damage to files: flipped, inserted, removed, repeated and cut off bytes. */
public final class ByteMutations {
  private static final List<String> FRAGMENTS =
      List.of(
          "{",
          "}",
          "[",
          "]",
          "\"",
          ",",
          ":",
          "\\",
          "-",
          "0",
          "9",
          "1e9",
          "NaN",
          "null",
          "\u0000",
          "\\ud800",
          "é",
          "/*",
          "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
          "9999999999999999999999");

  private ByteMutations() {}

  /** A copy of {@code original} with one to three changes. */
  public static byte[] mutate(byte[] original, RandomGenerator random) {
    byte[] bytes = original;
    for (int changes = random.nextInt(1, 4); changes > 0; changes--) {
      bytes = change(bytes, random);
    }
    return bytes;
  }

  private static byte[] change(byte[] bytes, RandomGenerator random) {
    if (bytes.length == 0) {
      return bytes;
    }
    int from = random.nextInt(bytes.length);
    int to = Math.min(bytes.length, from + random.nextInt(1, 40));
    return switch (random.nextInt(6)) {
      case 0 -> {
        byte[] flipped = bytes.clone();
        flipped[from] ^= (byte) (1 << random.nextInt(8));
        yield flipped;
      }
      case 1 -> {
        byte[] replaced = bytes.clone();
        replaced[from] = (byte) random.nextInt();
        yield replaced;
      }
      case 2 -> splice(bytes, from, to, new byte[0]);
      case 3 -> splice(bytes, to, to, Arrays.copyOfRange(bytes, from, to));
      case 4 -> {
        String fragment = FRAGMENTS.get(random.nextInt(FRAGMENTS.size()));
        yield splice(bytes, from, from, fragment.getBytes(StandardCharsets.UTF_8));
      }
      default -> Arrays.copyOf(bytes, from);
    };
  }

  private static byte[] splice(byte[] bytes, int from, int to, byte[] insert) {
    byte[] spliced = new byte[bytes.length - (to - from) + insert.length];
    System.arraycopy(bytes, 0, spliced, 0, from);
    System.arraycopy(insert, 0, spliced, from, insert.length);
    System.arraycopy(bytes, to, spliced, from + insert.length, bytes.length - to);
    return spliced;
  }
}
