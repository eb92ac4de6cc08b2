package org.tessera.guide;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.tessera.guide.Languages.finds;
import static org.tessera.guide.Languages.matches;

import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.error.InvalidRequestException;

class RegexTest {
  /** Random patterns over few letters against the JDK's verdict on random texts. */
  @Test
  void agreesWithTheJdkOnRandomPatterns() {
    Random random = new Random(17);
    int matched = 0;
    for (int i = 0; i < 600; i++) {
      String pattern = pattern(random, 4);
      Automaton automaton = Languages.automaton(RegexParser.full(pattern));
      Automaton search = Languages.automaton(RegexParser.search(pattern));
      Pattern reference = Pattern.compile(pattern);
      for (int j = 0; j < 40; j++) {
        String text = text(random);
        boolean expected = reference.matcher(text).matches();
        matched += expected ? 1 : 0;
        assertThat(Languages.accepts(automaton, text))
            .as(pattern + " on " + text)
            .isEqualTo(expected);
        assertThat(Languages.accepts(search, text))
            .as("search " + pattern + " in " + text)
            .isEqualTo(reference.matcher(text).find());
      }
    }
    assertThat(matched).isBetween(1000, 20_000);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[a-c]+x?",
        "[^a-c]{2,3}",
        "\\d{1,3}(\\.\\d{1,2})?",
        "(yes|no|maybe)+",
        ".*",
        "[\\w.-]+@\\w+",
        "(?:a|b)*?c",
        "\\x41\\u0042?",
        "[\\]\\-a]*",
        "a{,2}",
        "x{2,}",
        "[+-]?\\d+",
        "(?<n>a)b",
        "",
        "a||b",
        "\\s*\\S+",
        "[\\d-]+",
        "\\{a\\}",
        "[\\^a]*",
        "[.]",
        "\\D\\W"
      })
  void agreesWithTheJdkOnRandomTexts(String pattern) {
    Random random = new Random(5);
    Pattern reference = Pattern.compile(pattern.replace("{,", "{0,"));
    Automaton automaton = Languages.automaton(RegexParser.full(pattern));
    for (int i = 0; i < 3000; i++) {
      StringBuilder text = new StringBuilder();
      for (int length = random.nextInt(6); length > 0; length--) {
        text.append(
            random.nextBoolean()
                ? "abcxyesno1.5-@ {}]^".charAt(random.nextInt(19))
                : (char) random.nextInt(128));
      }
      assertThat(Languages.accepts(automaton, text.toString()))
          .as(pattern + " on " + text)
          .isEqualTo(reference.matcher(text).matches());
    }
  }

  @Test
  void classesAreOfCharactersNotBytes() {
    assertThat(matches("[à-ü]", "é")).isTrue();
    assertThat(matches("[à-ü]", "e")).isFalse();
    assertThat(matches(".", "𝄞")).isTrue();
    assertThat(matches(".", "é𝄞")).isFalse();
    assertThat(matches("\\p{Han}+", "漢字")).isTrue();
    assertThat(matches("\\p{Lu}\\p{Ll}+", "Éa")).isTrue();
    assertThat(matches("\\P{L}", "é")).isFalse();
    assertThat(matches("\\uD834\\uDD1E", "𝄞")).isTrue();
    assertThat(matches("\\u{1D11E}", "𝄞")).isTrue();
    assertThat(matches("[^\"]", "\u0800")).isTrue();
  }

  /** Every code point, alone, in a set made of random ranges. */
  @Test
  void rangesOfCodePointsBecomeTheirBytes() {
    Random random = new Random(3);
    CodePoints set = CodePoints.NONE;
    for (int i = 0; i < 40; i++) {
      int first = random.nextInt(i % 2 == 0 ? 0x3000 : Character.MAX_CODE_POINT);
      set =
          CodePoints.union(
              set,
              CodePoints.range(
                  first, Math.min(Character.MAX_CODE_POINT, first + random.nextInt(3000))));
    }
    Automaton automaton = Languages.automaton(new Expression.Chars(set));
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
        int codePoint = c;
        boolean inside =
            set.ranges().stream().anyMatch(r -> r.first() <= codePoint && codePoint <= r.last());
        if (Languages.accepts(automaton, Character.toString(c)) != inside) {
          assertThat(inside).as("U+%04X", c).isEqualTo(!inside);
        }
      }
    }
  }

  @Test
  void anchorsHoldAtTheEndsOfAlternatives() {
    assertThat(matches("^abc$", "abc")).isTrue();
    assertThat(finds("^ab", "abc")).isTrue();
    assertThat(finds("^b", "abc")).isFalse();
    assertThat(finds("c$|^b", "abc")).isTrue();
    assertThat(finds("b", "abc")).isTrue();
    assertThat(finds("^(a|b)$", "ab")).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a)\\1",
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        "\\bword",
        "(?i)a",
        "a++",
        "a**",
        "*a",
        "(a",
        "a)",
        "[a",
        "[]",
        "[z-a]",
        "[\\d-z]",
        "\\",
        "\\p{Nope}",
        "a^b",
        "a$b",
        "(^a)",
        "a{2,1}",
        "(?>a)",
        "[a[b]]",
        "\\q",
        "(?<n",
        "\\p{",
        "\\x",
        "[a-"
      })
  void whatIsNotSupportedIsRefused(String pattern) {
    assertThatThrownBy(() -> RegexParser.full(pattern))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("not supported");
  }

  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    for (int length = random.nextInt(9); length > 0; length--) {
      text.append("abc\n".charAt(random.nextInt(random.nextInt(8) == 0 ? 4 : 3)));
    }
    return text.toString();
  }

  private static String pattern(Random random, int depth) {
    return switch (random.nextInt(depth == 0 ? 4 : 9)) {
      case 0 -> "a";
      case 1 -> "b";
      case 2 -> random.nextBoolean() ? "." : "c";
      case 3 -> random.nextBoolean() ? "[ab]" : "[^a]";
      case 4, 5 -> pattern(random, depth - 1) + pattern(random, depth - 1);
      case 6 -> "(" + pattern(random, depth - 1) + "|" + pattern(random, depth - 1) + ")";
      default -> "(?:" + pattern(random, depth - 1) + ")" + quantifier(random);
    };
  }

  private static String quantifier(Random random) {
    String[] all = {"*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "{0}", "{0,2}?"};
    return all[random.nextInt(all.length)];
  }
}
