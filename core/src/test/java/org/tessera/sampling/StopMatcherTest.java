package org.tessera.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class StopMatcherTest {
  @Test
  void endsWhereANaiveSearchDoesHoweverTheTextIsCut() {
    Random random = new Random(1);
    int stopped = 0;
    for (int round = 0; round < 20_000; round++) {
      String text = text(random, random.nextInt(40));
      List<String> stops =
          Stream.generate(() -> text(random, 1 + random.nextInt(6)))
              .limit(random.nextInt(4))
              .toList();
      int longest = stops.stream().mapToInt(String::length).max().orElse(0);
      StopMatcher matcher = new StopMatcher(stops);
      StringBuilder shown = new StringBuilder();
      int at = 0;
      while (at < text.length()) {
        int end = Math.min(text.length(), at + random.nextInt(6));
        shown.append(matcher.push(text.substring(at, end)));
        at = end;
        if (!matcher.stopped()) {
          assertThat(at - shown.length()).as("held back").isBetween(0, Math.max(0, longest - 1));
        }
      }
      shown.append(matcher.finish());

      int expected = naiveEnd(text, stops);
      assertThat(shown.toString())
          .as("%s before %s", text, stops)
          .isEqualTo(expected < 0 ? text : text.substring(0, expected));
      assertThat(matcher.stopped()).isEqualTo(expected >= 0);
      stopped += expected >= 0 ? 1 : 0;
    }
    assertThat(stopped).isBetween(5_000, 18_000);
  }

  @Test
  void aStopStringMayComeInPieces() {
    StopMatcher matcher = new StopMatcher(List.of("\nUser:"));
    assertThat(matcher.push("Three circles.\nUs")).isEqualTo("Three circles.");
    assertThat(matcher.push("er")).isEmpty();
    assertThat(matcher.push(": and")).isEmpty();
    assertThat(matcher.stopped()).isTrue();
    assertThat(matcher.push("more")).isEmpty();
    assertThat(matcher.finish()).isEmpty();
  }

  @Test
  void whatTurnsOutHarmlessIsLetThrough() {
    StopMatcher matcher = new StopMatcher(List.of("aab"));
    assertThat(matcher.push("aaa")).isEqualTo("a");
    assertThat(matcher.push("c")).isEqualTo("aac");
    assertThat(matcher.push("xa")).isEqualTo("x");
    assertThat(matcher.finish()).isEqualTo("a");
    assertThat(matcher.stopped()).isFalse();
  }

  @Test
  void theStopStringThatIsCompleteFirstWins() {
    StopMatcher whole = new StopMatcher(List.of("abc", "b"));
    assertThat(whole.push("xabc")).isEqualTo("xa");
    StopMatcher longer = new StopMatcher(List.of("c", "abc"));
    assertThat(longer.push("xabc")).isEqualTo("x");
  }

  @Test
  void withoutStopStringsEverythingGoesThrough() {
    StopMatcher matcher = new StopMatcher(List.of());
    assertThat(matcher.push("圆形 \uD83D\uDFE5")).isEqualTo("圆形 \uD83D\uDFE5");
    assertThat(matcher.push("")).isEmpty();
    assertThat(matcher.finish()).isEmpty();
  }

  @Test
  void characterPairsStayWhole() {
    StopMatcher matcher = new StopMatcher(List.of("\uD83D\uDFE6"));
    assertThat(matcher.push("\uD83D\uDFE5")).isEqualTo("\uD83D\uDFE5");
    assertThat(matcher.push("x\uD83D\uDFE6")).isEqualTo("x");
    assertThat(matcher.stopped()).isTrue();
  }

  @Test
  void anEmptyStopStringIsRefused() {
    assertThatThrownBy(() -> new StopMatcher(List.of("")))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** The start of the longest of the stop strings that end first, or -1. */
  private static int naiveEnd(String text, List<String> stops) {
    for (int end = 1; end <= text.length(); end++) {
      List<Integer> starts = new ArrayList<>();
      for (String stop : stops) {
        if (text.substring(0, end).endsWith(stop)) {
          starts.add(end - stop.length());
        }
      }
      if (!starts.isEmpty()) {
        return starts.stream().min(Integer::compare).orElseThrow();
      }
    }
    return -1;
  }

  private static String text(Random random, int length) {
    return random
        .ints(length, 0, 3)
        .mapToObj(i -> String.valueOf((char) ('a' + i)))
        .collect(Collectors.joining());
  }
}
