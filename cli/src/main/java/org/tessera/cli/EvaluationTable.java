package org.tessera.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import org.tessera.cli.Evaluation.Answered;

/** How many answers are right, by category and language. Answers are compared as whole strings. */
final class EvaluationTable {
  private static final String ALL = "all";

  /** Percentages that the demo model must reach. */
  private static final Map<String, Double> THRESHOLDS =
      Map.of(
          "colour_shape", 97.0,
          "counting", 95.0,
          "position", 95.0,
          "reading", 95.0,
          "two_pictures", 90.0,
          "video", 90.0,
          "small_text", 90.0);

  private final Map<String, Map<String, Score>> scores = new LinkedHashMap<>();
  private final Map<Integer, Boolean> redBlue = new TreeMap<>();

  EvaluationTable(List<Answered> answers) {
    for (Answered answer : answers) {
      String category = answer.question().category();
      for (String language : List.of(answer.question().language(), ALL)) {
        count(category, language, answer.isRight());
      }
      answer
          .question()
          .redBlue()
          .ifPresent(pair -> redBlue.merge(pair, answer.isRight(), Boolean::logicalAnd));
    }
    answers.forEach(answer -> count(ALL, ALL, answer.isRight()));
  }

  /** Right answers among those seen. */
  record Score(int right, int seen) {
    static final Score NONE = new Score(0, 0);

    Score plus(boolean isRight) {
      return new Score(right + (isRight ? 1 : 0), seen + 1);
    }

    double percent() {
      return 100.0 * right / seen;
    }

    int wrong() {
      return seen - right;
    }
  }

  /** All questions of a category; none seen where there are none of it. */
  Score score(String category) {
    return scores.getOrDefault(category, Map.of()).getOrDefault(ALL, Score.NONE);
  }

  List<String> categories() {
    return List.copyOf(scores.keySet());
  }

  /** Of each pair of pictures that differ in one colour, whether both answers are right. */
  Map<Integer, Boolean> redBlue() {
    return Map.copyOf(redBlue);
  }

  /** The percentage that a category must reach, where it must reach one. */
  static OptionalDouble threshold(String category) {
    Double threshold = THRESHOLDS.get(category);
    return threshold == null ? OptionalDouble.empty() : OptionalDouble.of(threshold);
  }

  /** Whether every category reaches its threshold and no red picture is taken for a blue one. */
  boolean passes() {
    return scores.keySet().stream().allMatch(this::meetsThreshold)
        && !redBlue.containsValue(Boolean.FALSE);
  }

  List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add("%-14s%16s%16s%16s  threshold".formatted("category", "en", "zh", ALL));
    scores.forEach((category, byLanguage) -> {
      StringBuilder line = new StringBuilder("%-14s".formatted(category));
      for (String language : List.of("en", "zh", ALL)) {
        line.append(cell(byLanguage.getOrDefault(language, Score.NONE)));
      }
      threshold(category)
          .ifPresent(threshold ->
              line.append(
                  String.format(
                      Locale.ROOT,
                      "  %.0f %% %s",
                      threshold,
                      meetsThreshold(category) ? "met" : "MISSED")));
      lines.add(line.toString());
    });
    lines.add(
        "red and blue told apart in %d of %d pairs"
            .formatted(
                redBlue.values().stream().filter(Boolean::booleanValue).count(), redBlue.size()));
    return lines;
  }

  private static String cell(Score score) {
    return score.seen() == 0
        ? " ".repeat(16)
        : String.format(
            Locale.ROOT, "%5d/%-4d%5.1f%%", score.right(), score.seen(), score.percent());
  }

  private boolean meetsThreshold(String category) {
    OptionalDouble threshold = threshold(category);
    return threshold.isEmpty() || score(category).percent() >= threshold.getAsDouble();
  }

  private void count(String category, String language, boolean isRight) {
    scores
        .computeIfAbsent(category, key -> new LinkedHashMap<>())
        .merge(language, Score.NONE.plus(isRight), (before, first) -> before.plus(isRight));
  }
}
