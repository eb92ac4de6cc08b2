package org.tessera.guide;

import java.util.ArrayList;
import java.util.List;
import org.tessera.config.StrictJson;
import org.tessera.error.InvalidRequestException;

/**
 * Regular expressions in the syntax that Python, Java and JavaScript share: literals, {@code .},
 * classes, {@code \d \w \s} (of ASCII) and their negations, {@code \p{…}}, groups, alternatives,
 * {@code * + ? {n} {n,} {n,m}} and their lazy forms, which match the same texts. {@code ^} and
 * {@code $} stand at the ends of alternatives of the whole only. What is not regular (references
 * back) and what looks around is refused by name.
 */
final class RegexParser {
  static final int MAX_CHARACTERS = 1 << 14;
  private static final int MAX_GROUP_DEPTH = 100;
  private static final int MAX_COUNT = 100_000;
  private static final Expression ANY =
      new Expression.Repeat(new Expression.Chars(CodePoints.ALL), 0, Expression.UNBOUNDED);

  private final String pattern;
  private final RegexClasses classes;
  private int at;
  private int depth;

  private RegexParser(String pattern) {
    this.pattern = pattern;
    classes = new RegexClasses(pattern);
  }

  /** All texts that the pattern matches from their start to their end. */
  static Expression full(String pattern) {
    return new RegexParser(pattern).parse(false);
  }

  /** All texts in which the pattern finds a match, as JSON Schema means patterns. */
  static Expression search(String pattern) {
    return new RegexParser(pattern).parse(true);
  }

  private Expression parse(boolean search) {
    if (pattern.length() > MAX_CHARACTERS) {
      throw new InvalidRequestException(
          "a pattern has %d characters, at most %d are accepted"
              .formatted(pattern.length(), MAX_CHARACTERS));
    }
    List<Expression> options = new ArrayList<>();
    do {
      boolean fromStart = skip("^") || skip("\\A");
      Expression body = sequence();
      boolean toEnd = skip("$") || skip("\\z") || skip("\\Z");
      if (toEnd && at < pattern.length() && peek() != '|') {
        throw refused("$ that is not at the end");
      }
      options.add(
          !search
              ? body
              : Expression.sequence(
                  fromStart ? Expression.EMPTY : ANY, body, toEnd ? Expression.EMPTY : ANY));
    } while (skip("|"));
    if (at < pattern.length()) {
      throw refused("')' without '('");
    }
    return options.size() == 1 ? options.getFirst() : new Expression.AnyOf(options);
  }

  private Expression alternatives() {
    List<Expression> options = new ArrayList<>();
    do {
      options.add(sequence());
    } while (skip("|"));
    return options.size() == 1 ? options.getFirst() : new Expression.AnyOf(options);
  }

  private Expression sequence() {
    List<Expression> parts = new ArrayList<>();
    while (at < pattern.length() && !startsEnd()) {
      parts.add(quantified(atom()));
    }
    return parts.size() == 1 ? parts.getFirst() : new Expression.Sequence(parts);
  }

  private boolean startsEnd() {
    char c = pattern.charAt(at);
    return c == '|'
        || c == ')'
        || (c == '$' && depth == 0)
        || (depth == 0 && (pattern.startsWith("\\z", at) || pattern.startsWith("\\Z", at)));
  }

  private Expression atom() {
    int c = pattern.codePointAt(at);
    switch (c) {
      case '(' -> {
        return group();
      }
      case '[' -> {
        at = classes.parse(at);
        return new Expression.Chars(classes.result());
      }
      case '.' -> {
        at++;
        return new Expression.Chars(CodePoints.LINE_ENDS.complement());
      }
      case '\\' -> {
        at = classes.escape(at, false);
        return new Expression.Chars(classes.result());
      }
      case '*', '+', '?' -> throw refused("nothing to repeat before '%c'".formatted(c));
      case '^', '$' -> throw refused("'%c' within the pattern".formatted(c));
      default -> {
        if (c == '{' && isCount()) {
          throw refused("nothing to repeat before '{'");
        }
        at += Character.charCount(c);
        return new Expression.Chars(CodePoints.of(c));
      }
    }
  }

  private Expression group() {
    at++;
    if (skip("?")) {
      boolean named = skip("P<") || (peek() == '<' && !lookahead("<=") && !lookahead("<!"));
      if (named) {
        int end = pattern.indexOf('>', at);
        if (end < 0) {
          throw refused("a group's name that does not end");
        }
        at = end + 1;
      } else if (!skip(":")) {
        throw refused(
            lookahead("=") || lookahead("!") || lookahead("<")
                ? "looking ahead or behind"
                : "the group (?" + Character.toString(peek()));
      }
    }
    if (++depth > MAX_GROUP_DEPTH) {
      throw refused("groups nested deeper than " + MAX_GROUP_DEPTH);
    }
    Expression body = alternatives();
    depth--;
    if (!skip(")")) {
      throw refused("'(' without ')'");
    }
    return body;
  }

  private Expression quantified(Expression body) {
    int min;
    int max = Expression.UNBOUNDED;
    if (skip("*")) {
      min = 0;
    } else if (skip("+")) {
      min = 1;
    } else if (skip("?")) {
      min = 0;
      max = 1;
    } else if (isCount()) {
      at++;
      min = Character.isDigit(peek()) ? count() : 0;
      if (!skip(",")) {
        max = min;
      } else if (peek() != '}') {
        max = count();
      }
      at++;
      if (max != Expression.UNBOUNDED && max < min) {
        throw refused("{%d,%d}".formatted(min, max));
      }
    } else {
      return body;
    }
    if (skip("+")) {
      throw refused("a possessive quantifier");
    }
    boolean lazy = skip("?");
    if (peek() == '*' || peek() == '+' || peek() == '?' || isCount()) {
      throw refused(lazy ? "a quantifier after another" : "multiple repeat");
    }
    return new Expression.Repeat(body, min, max);
  }

  /** Whether a count stands here; any other brace is itself. */
  private boolean isCount() {
    if (peek() != '{') {
      return false;
    }
    int end = at + 1;
    boolean digits = false;
    boolean comma = false;
    for (; end < pattern.length(); end++) {
      char c = pattern.charAt(end);
      if (c >= '0' && c <= '9') {
        digits = true;
      } else if (c == ',' && !comma) {
        comma = true;
      } else {
        break;
      }
    }
    return digits && end < pattern.length() && pattern.charAt(end) == '}';
  }

  private int count() {
    int count = 0;
    for (; Character.isDigit(peek()); at++) {
      count = 10 * count + (pattern.charAt(at) - '0');
      if (count > MAX_COUNT) {
        throw refused("a count above " + MAX_COUNT);
      }
    }
    return count;
  }

  /** The next character, or 0 at the end. */
  private char peek() {
    return at < pattern.length() ? pattern.charAt(at) : 0;
  }

  private boolean lookahead(String text) {
    return pattern.startsWith(text, at);
  }

  private boolean skip(String text) {
    if (!lookahead(text)) {
      return false;
    }
    at += text.length();
    return true;
  }

  private InvalidRequestException refused(String what) {
    return refused(pattern, at, what);
  }

  static InvalidRequestException refused(String pattern, int at, String what) {
    return new InvalidRequestException(
        "the pattern %s is not supported: %s (at character %d)"
            .formatted(StrictJson.printable(pattern), StrictJson.printable(what), at));
  }
}
