package org.tessera.guide;

import java.math.BigDecimal;
import java.math.RoundingMode;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Numbers of a schema and their bounds. */
final class SchemaNumbers {
  private static final BigDecimal LIMIT = BigDecimal.valueOf(NumberRanges.LIMIT);

  private SchemaNumbers() {}

  static Expression of(ObjectNode schema, String path, boolean whole) {
    Bound low = bound(schema, "minimum", "exclusiveMinimum", 1, path);
    Bound high = bound(schema, "maximum", "exclusiveMaximum", -1, path);
    if (low.open() && high.open()) {
      return whole ? JsonText.INTEGER : JsonText.NUMBER;
    }
    if (whole) {
      long first = toLong(low.value().setScale(0, RoundingMode.CEILING));
      long last = toLong(high.value().setScale(0, RoundingMode.FLOOR));
      first += low.excluded() && low.value().compareTo(BigDecimal.valueOf(first)) == 0 ? 1 : 0;
      last -= high.excluded() && high.value().compareTo(BigDecimal.valueOf(last)) == 0 ? 1 : 0;
      return NumberRanges.integers(first, last);
    }
    if (!isWhole(low.value()) || !isWhole(high.value())) {
      throw SchemaSource.refused(path, "bounds of a number that are not whole are not supported");
    }
    return NumberRanges.numbers(
        toLong(low.value()), !low.excluded(), toLong(high.value()), !high.excluded());
  }

  /**
   * @param open whether no keyword gives it: then it is the largest magnitude
   */
  private record Bound(BigDecimal value, boolean excluded, boolean open) {}

  /**
   * The stricter of two keywords.
   *
   * @param sign 1 where larger is stricter, else -1
   */
  private static Bound bound(
      ObjectNode schema, String including, String excluding, int sign, String path) {
    Bound bound = new Bound(sign > 0 ? LIMIT.negate() : LIMIT, false, true);
    if (schema.has(including)) {
      bound = stricter(bound, new Bound(value(schema, including, path), false, false), sign);
    }
    if (schema.has(excluding)) {
      bound = stricter(bound, new Bound(value(schema, excluding, path), true, false), sign);
    }
    return bound;
  }

  private static Bound stricter(Bound a, Bound b, int sign) {
    int order = b.value().compareTo(a.value());
    return (sign > 0 ? order >= 0 : order <= 0) ? b : a;
  }

  private static BigDecimal value(ObjectNode schema, String keyword, String path) {
    JsonNode node = schema.get(keyword);
    if (!node.isNumber()) {
      throw SchemaSource.refused(path, "%s is %s, expected a number".formatted(keyword, node));
    }
    BigDecimal value = node.decimalValue();
    // Before any arithmetic, which on 1e999999999 would take all memory.
    if (Math.abs((long) value.scale()) > 100 || value.abs().compareTo(LIMIT) > 0) {
      throw SchemaSource.refused(
          path, "%s has more than %d digits".formatted(keyword, JsonText.MAX_DIGITS));
    }
    return value;
  }

  private static boolean isWhole(BigDecimal value) {
    return value.stripTrailingZeros().scale() <= 0;
  }

  private static long toLong(BigDecimal value) {
    return value.longValueExact();
  }
}
