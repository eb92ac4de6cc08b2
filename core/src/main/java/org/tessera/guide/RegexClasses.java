package org.tessera.guide;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/** Reads the escapes and character classes of one pattern. */
final class RegexClasses {
  private static final Map<Character, Integer> CONTROLS =
      Map.of('t', 0x09, 'n', 0x0A, 'v', 0x0B, 'f', 0x0C, 'r', 0x0D, 'a', 0x07, 'e', 0x1B);

  private final String pattern;

  /** By name, as each takes a pass over Unicode. */
  private final Map<String, CodePoints> properties = new HashMap<>();

  private int at;
  private CodePoints result = CodePoints.NONE;

  RegexClasses(String pattern) {
    this.pattern = pattern;
  }

  /** What the last call has read. */
  CodePoints result() {
    return result;
  }

  /**
   * Reads the class whose {@code [} is at {@code start}.
   *
   * @return the index after its {@code ]}
   */
  int parse(int start) {
    at = start + 1;
    boolean negated = at < pattern.length() && pattern.charAt(at) == '^';
    if (negated) {
      at++;
    }
    CodePoints set = CodePoints.NONE;
    for (boolean first = true; first || peek() != ']'; first = false) {
      if (first && peek() == ']') {
        throw refused("an empty class");
      }
      if (peek() == '[' || (peek() == '&' && pattern.startsWith("&&", at))) {
        throw refused("'[' or && within a class");
      }
      CodePoints item = item();
      if (peek() == '-' && at + 1 < pattern.length() && pattern.charAt(at + 1) != ']') {
        at++;
        CodePoints end = item();
        int low = single(item);
        int high = single(end);
        if (low > high) {
          throw refused("a range that runs backwards");
        }
        item = CodePoints.range(low, high);
      }
      set = CodePoints.union(set, item);
    }
    result = negated ? set.complement() : set;
    return at + 1;
  }

  /**
   * Reads the escape whose backslash is at {@code start}.
   *
   * @return the index after it
   */
  int escape(int start, boolean inClass) {
    at = start + 1;
    char c = peek();
    at++;
    Integer control = CONTROLS.get(c);
    result =
        switch (c) {
          case 'd' -> CodePoints.DIGITS;
          case 'D' -> CodePoints.DIGITS.complement();
          case 'w' -> CodePoints.WORD;
          case 'W' -> CodePoints.WORD.complement();
          case 's' -> CodePoints.SPACE;
          case 'S' -> CodePoints.SPACE.complement();
          case 'p', 'P' -> property(c == 'P');
          case 'x' -> CodePoints.of(hex(2));
          case 'u' -> CodePoints.of(utf16());
          default -> {
            if (control != null) {
              yield CodePoints.of(control);
            }
            if (c == 'b' && inClass) {
              yield CodePoints.of('\b');
            }
            if (c == '0' && (at == pattern.length() || !Character.isDigit(pattern.charAt(at)))) {
              yield CodePoints.of(0);
            }
            if (c >= '1' && c <= '9') {
              throw refused("the back reference \\" + c);
            }
            if (c < 0x80 && !Character.isLetterOrDigit(c)) {
              yield CodePoints.of(c);
            }
            throw refused("the escape \\" + c);
          }
        };
    return at;
  }

  private CodePoints item() {
    if (peek() == '\\') {
      at = escape(at, true);
      return result;
    }
    int c = pattern.codePointAt(at);
    at += Character.charCount(c);
    return CodePoints.of(c);
  }

  private int single(CodePoints set) {
    if (set.ranges().size() != 1
        || set.ranges().getFirst().first() != set.ranges().getFirst().last()) {
      throw refused("a range between classes");
    }
    return set.ranges().getFirst().first();
  }

  /** A character of the basic plane, a pair of escapes for one beyond, or {@code \}{@code u{…}}. */
  private int utf16() {
    int unit = hex(4);
    if (Character.isBmpCodePoint(unit)
        && Character.isHighSurrogate((char) unit)
        && pattern.startsWith("\\u", at)) {
      at += 2;
      int low = hex(4);
      if (!Character.isBmpCodePoint(low) || !Character.isLowSurrogate((char) low)) {
        throw refused("half of a surrogate pair");
      }
      return Character.toCodePoint((char) unit, (char) low);
    }
    return unit;
  }

  /** So many digits, or any number of them in braces. */
  private int hex(int digits) {
    boolean braces = pattern.startsWith("{", at);
    int from = braces ? at + 1 : at;
    int end = braces ? pattern.indexOf('}', from) : at + digits;
    if (end <= from || end > pattern.length() || end > from + 6) {
      throw refused("a character's number");
    }
    int value = 0;
    for (int i = from; i < end; i++) {
      int digit = Character.digit(pattern.charAt(i), 16);
      if (digit < 0) {
        throw refused("a character's number");
      }
      value = 16 * value + digit;
    }
    if (value > Character.MAX_CODE_POINT) {
      throw refused("a character's number");
    }
    at = braces ? end + 1 : end;
    return value;
  }

  private CodePoints property(boolean negated) {
    String name;
    if (peek() == '{') {
      int end = pattern.indexOf('}', at);
      if (end < 0) {
        throw refused("a property that does not end");
      }
      name = pattern.substring(at + 1, end);
      at = end + 1;
    } else {
      name = String.valueOf(peek());
      at++;
    }
    boolean inverse = negated ^ name.startsWith("^");
    CodePoints set = properties.computeIfAbsent(name.replace("^", ""), this::property);
    return inverse ? set.complement() : set;
  }

  /** A general category such as {@code L} or {@code Lu}, or a script such as {@code Han}. */
  private CodePoints property(String name) {
    String value = name.substring(name.indexOf('=') + 1);
    if (value.length() <= 2 && GeneralCategory.isKnown(value)) {
      return CodePoints.where(c -> GeneralCategory.of(c).startsWith(value));
    }
    String script = value.startsWith("Is") ? value.substring(2) : value;
    try {
      Character.UnicodeScript wanted =
          Character.UnicodeScript.forName(script.toUpperCase(Locale.ROOT));
      return CodePoints.where(c -> Character.UnicodeScript.of(c) == wanted);
    } catch (IllegalArgumentException e) {
      throw refused("the property " + name);
    }
  }

  private char peek() {
    if (at >= pattern.length()) {
      throw refused("an end within a class or an escape");
    }
    return pattern.charAt(at);
  }

  private RuntimeException refused(String what) {
    return RegexParser.refused(pattern, at, what);
  }
}
