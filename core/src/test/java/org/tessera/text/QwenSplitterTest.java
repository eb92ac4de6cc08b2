package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class QwenSplitterTest {
  /** The JDK's engine on the original pattern, with Unicode's own classes and folding. */
  private static final Pattern PATTERN =
      Pattern.compile(QwenSplitter.PATTERN, Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE);

  @Test
  void splitsAsThePatternDoes() {
    RandomText texts = new RandomText(new Random(3));
    for (int i = 0; i < 20_000; i++) {
      String text = texts.next();
      assertThat(split(text)).as(text).isEqualTo(matches(text));
    }
  }

  @Test
  void splitsEveryStringOfTheDecisiveCharacters() {
    char[] alphabet = {'a', 'S', 'l', '1', ' ', '\n', '\t', '\'', '!', '\u017F', '\u00A0'};
    char[] text = new char[5];
    int strings = (int) Math.pow(alphabet.length, text.length);
    for (int i = 0; i < strings; i++) {
      for (int at = 0, rest = i; at < text.length; at++, rest /= alphabet.length) {
        text[at] = alphabet[rest % alphabet.length];
      }
      String string = new String(text);
      assertThat(split(string)).isEqualTo(matches(string));
    }
  }

  private static List<String> split(String text) {
    List<String> pieces = new ArrayList<>();
    for (int start = 0; start < text.length(); ) {
      int end = QwenSplitter.next(text, start);
      pieces.add(text.substring(start, end));
      start = end;
    }
    return pieces;
  }

  private static List<String> matches(String text) {
    return PATTERN.matcher(text).results().map(MatchResult::group).toList();
  }
}
