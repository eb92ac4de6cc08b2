package org.tessera.guide;

import static org.tessera.guide.Expression.literal;
import static org.tessera.guide.Expression.sequence;

import java.util.ArrayList;
import java.util.List;
import org.tessera.guide.Expression.AnyOf;
import org.tessera.guide.Expression.Chars;
import org.tessera.guide.Expression.Repeat;

/**
 * Numbers between bounds as JSON writes them, without exponents. Bounds are whole numbers of at
 * most {@link JsonText#MAX_DIGITS} digits.
 */
final class NumberRanges {
  /** The largest magnitude: an open end stands for it. */
  static final long LIMIT = 999_999_999_999_999_999L;

  private static final Expression DIGIT = new Chars(CodePoints.DIGITS);
  private static final Expression ZEROS =
      Expression.optional(sequence(literal("."), new Repeat(literal("0"), 1, JsonText.MAX_DIGITS)));
  private static final Expression FRACTION =
      Expression.optional(sequence(literal("."), new Repeat(DIGIT, 1, JsonText.MAX_DIGITS)));
  private static final Expression NONZERO_FRACTION =
      sequence(
          literal("."),
          new Repeat(literal("0"), 0, JsonText.MAX_DIGITS),
          new Chars(CodePoints.range('1', '9')),
          new Repeat(DIGIT, 0, JsonText.MAX_DIGITS));

  private NumberRanges() {}

  /** Whole numbers from {@code low} to {@code high}; nothing where there are none. */
  static Expression integers(long low, long high) {
    List<Expression> options = new ArrayList<>();
    if (low < 0 && low <= high) {
      options.add(sequence(literal("-"), digits(Math.max(1, -high), -low)));
    }
    if (high >= 0 && low <= high) {
      options.add(digits(Math.max(0, low), high));
    }
    return new AnyOf(options);
  }

  /**
   * Numbers between {@code low} and {@code high}.
   *
   * @param lowIncluded whether {@code low} is one of them
   * @param highIncluded whether {@code high} is one of them
   */
  static Expression numbers(long low, boolean lowIncluded, long high, boolean highIncluded) {
    List<Expression> options = new ArrayList<>();
    if (low < 0 && low <= high) {
      boolean toZero = high >= 0;
      boolean zeroIncluded = high > 0 || (high == 0 && highIncluded);
      options.add(
          sequence(
              literal("-"),
              magnitudes(
                  toZero ? 0 : -high, toZero ? zeroIncluded : highIncluded, -low, lowIncluded)));
    }
    if (high >= 0 && low <= high) {
      boolean fromZero = low < 0;
      options.add(magnitudes(fromZero ? 0 : low, fromZero || lowIncluded, high, highIncluded));
    }
    return new AnyOf(options);
  }

  private static Expression magnitudes(
      long low, boolean lowIncluded, long high, boolean highIncluded) {
    List<Expression> options = new ArrayList<>();
    if (low == high) {
      if (lowIncluded && highIncluded) {
        options.add(sequence(literal(Long.toString(low)), ZEROS));
      }
      return new AnyOf(options);
    }
    options.add(sequence(literal(Long.toString(low)), lowIncluded ? FRACTION : NONZERO_FRACTION));
    if (high - low > 1) {
      options.add(sequence(digits(low + 1, high - 1), FRACTION));
    }
    if (highIncluded) {
      options.add(sequence(literal(Long.toString(high)), ZEROS));
    }
    return new AnyOf(options);
  }

  /** Whole numbers of which none is negative, cut where their number of digits changes. */
  private static Expression digits(long low, long high) {
    List<Expression> options = new ArrayList<>();
    for (long from = low; from <= high; ) {
      long longest = Long.parseLong("9".repeat(Long.toString(from).length()));
      long to = Math.min(high, longest);
      options.add(between(Long.toString(from), Long.toString(to)));
      from = to + 1;
    }
    return new AnyOf(options);
  }

  /** Digit strings of one length. */
  private static Expression between(String low, String high) {
    int rest = low.length() - 1;
    if (rest < 0) {
      return Expression.EMPTY;
    }
    if (low.equals("0".repeat(rest + 1)) && high.equals("9".repeat(rest + 1))) {
      return new Repeat(DIGIT, rest + 1, rest + 1); // else both branches below would double it
    }
    if (low.charAt(0) == high.charAt(0)) {
      return sequence(literal(low.substring(0, 1)), between(low.substring(1), high.substring(1)));
    }
    char first = low.charAt(0);
    char last = high.charAt(0);
    List<Expression> options = new ArrayList<>();
    options.add(
        sequence(literal(low.substring(0, 1)), between(low.substring(1), "9".repeat(rest))));
    if (last - first > 1) {
      options.add(
          sequence(
              new Chars(CodePoints.range(first + 1, last - 1)), new Repeat(DIGIT, rest, rest)));
    }
    options.add(
        sequence(literal(high.substring(0, 1)), between("0".repeat(rest), high.substring(1))));
    return new AnyOf(options);
  }
}
