package org.tessera.guide;

import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Strings of a schema: lengths, patterns and formats, one of the three at a time. */
final class SchemaStrings {
  private static final String DATE =
      "[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
          + "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
  private static final String HOUR_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
  private static final String TIME =
      HOUR_MINUTE + ":[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])";
  private static final String BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  private static final String LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?";

  /**
   * Subsets where the whole is not regular or not worth it: no 29 February, years from 1000 to
   * 2999, plain addresses.
   */
  private static final Map<String, String> FORMATS =
      Map.of(
          "date", DATE,
          "time", TIME,
          "date-time", DATE + "T" + TIME,
          "uuid", "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
          "ipv4", BYTE + "(?:\\." + BYTE + "){3}",
          "hostname", LABEL + "(?:\\." + LABEL + "){0,4}",
          "email",
              "[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,20})?@"
                  + LABEL
                  + "(?:\\."
                  + LABEL
                  + "){0,3}\\.[A-Za-z]{2,12}");

  private SchemaStrings() {}

  static Expression of(ObjectNode schema, String path) {
    boolean lengths = schema.has("minLength") || schema.has("maxLength");
    int kinds =
        (lengths ? 1 : 0) + (schema.has("pattern") ? 1 : 0) + (schema.has("format") ? 1 : 0);
    if (kinds > 1) {
      throw SchemaSource.refused(path, "only one of lengths, pattern and format is supported");
    }
    if (schema.has("pattern")) {
      return JsonText.string(JsonText.escaped(RegexParser.search(text(schema, "pattern", path))));
    }
    if (schema.has("format")) {
      String pattern = FORMATS.get(text(schema, "format", path));
      if (pattern == null) {
        throw SchemaSource.refused(
            path, "the format %s is not supported".formatted(schema.get("format")));
      }
      return JsonText.string(RegexParser.full(pattern));
    }
    if (!lengths) {
      return JsonText.STRING;
    }
    int min = SchemaSource.count(schema, "minLength", 0, path);
    int max = SchemaSource.count(schema, "maxLength", Expression.UNBOUNDED, path);
    if (max != Expression.UNBOUNDED && min > max) {
      throw SchemaSource.refused(path, "minLength is above maxLength");
    }
    return JsonText.string(new Expression.Repeat(JsonText.CHARACTER, min, max));
  }

  private static String text(ObjectNode schema, String keyword, String path) {
    JsonNode value = schema.get(keyword);
    if (!value.isString()) {
      throw SchemaSource.refused(path, "%s is %s, expected a string".formatted(keyword, value));
    }
    return value.stringValue();
  }
}
