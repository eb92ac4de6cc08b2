package org.tessera.cli;

import java.util.Locale;

/**
 * Text that others wrote, fit for a terminal: a model can generate any character, a file can be
 * called anything, and terminals take control characters for orders.
 */
final class Printable {
  private Printable() {}

  /** As one line: control characters are escaped. */
  static String line(String text) {
    StringBuilder line = new StringBuilder();
    text.codePoints()
        .forEach(c -> {
          if (Character.isISOControl(c)) {
            line.append(String.format(Locale.ROOT, "\\u%04x", c));
          } else {
            line.appendCodePoint(c);
          }
        });
    return line.toString();
  }

  /** As it is, but for control characters other than line feed and tab, which become U+FFFD. */
  static String answer(String text) {
    StringBuilder shown = new StringBuilder(text.length());
    text.chars()
        .forEach(c -> {
          boolean harmless = c == '\n' || c == '\t' || !Character.isISOControl(c);
          shown.append(harmless ? (char) c : '\uFFFD');
        });
    return shown.toString();
  }
}
