package org.tessera.plan;

import java.math.BigInteger;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tessera.error.PlanException;

/** Sizes of memory as users write and read them. */
public final class ByteSize {
  private static final Pattern SIZE =
      Pattern.compile(
          "([0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)\\s*([KMG])(I?)(B)", Pattern.CASE_INSENSITIVE);
  private static final Pattern PLAIN = Pattern.compile("[0-9]+");
  private static final BigInteger ABOVE_MAX = BigInteger.valueOf(Long.MAX_VALUE);
  private static final int MAX_CHARACTERS = 40;
  private static final int BITS_PER_BYTE = 8;

  /** 64 PiB: above any memory, and low enough that sums over devices cannot overflow. */
  static final long MAX_BYTES = 1L << 56;

  private ByteSize() {}

  /**
   * Reads a size as accelerate 1.15 does: {@code GiB, MiB, KiB} are powers of 1024, {@code GB, MB,
   * KB} powers of 1000; letters may have either case, except that a decimal unit that ends in a
   * lower-case {@code b} counts bits ({@code 80Gb} is 10 GB). A whole number without a unit is
   * bytes. Parts of a byte are dropped.
   *
   * @throws PlanException where the text is no such size or exceeds 64 PiB
   */
  public static long parse(String text) {
    String trimmed = text.strip();
    if (trimmed.length() > MAX_CHARACTERS) {
      throw invalid(trimmed);
    }
    if (PLAIN.matcher(trimmed).matches()) {
      return bounded(new BigInteger(trimmed).min(ABOVE_MAX).longValueExact(), trimmed);
    }
    Matcher size = SIZE.matcher(trimmed);
    if (!size.matches()) {
      throw invalid(trimmed);
    }
    boolean binary = !size.group(3).isEmpty();
    double bytes = Double.parseDouble(size.group(1)) * unit(size.group(2), binary);
    boolean bits = !binary && size.group(4).equals("b");
    return bounded(bits ? (long) bytes / BITS_PER_BYTE : (long) bytes, trimmed);
  }

  /** With one decimal in the largest binary unit that gives at least 1: {@code 15.1 GiB}. */
  public static String format(long bytes) {
    if (bytes < 1L << 10) {
      return bytes + " bytes";
    }
    int power = bytes < 1L << 20 ? 1 : bytes < 1L << 30 ? 2 : 3;
    return String.format(
        Locale.ROOT, "%.1f %siB", bytes / Math.pow(1024, power), " KMG".charAt(power));
  }

  private static double unit(String letter, boolean binary) {
    int power = "KMG".indexOf(letter.toUpperCase(Locale.ROOT)) + 1;
    return Math.pow(binary ? 1024 : 1000, power);
  }

  private static long bounded(long bytes, String text) {
    if (bytes > MAX_BYTES) {
      throw new PlanException(
          "size \"%s\" is not valid: more than 64 PiB is larger than any memory"
              .formatted(Printable.of(text)));
    }
    return bytes;
  }

  private static PlanException invalid(String text) {
    return new PlanException(
        "size \"%s\" is not valid: expected bytes or a number with a unit, such as 10GiB or 5.5GB"
            .formatted(Printable.of(text)));
  }
}
