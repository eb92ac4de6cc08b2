package org.tessera.cli;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.tessera.plan.ByteSize;
import org.tessera.plan.Candidate;
import org.tessera.plan.Candidate.Feasible;
import org.tessera.plan.Candidate.Refused;
import org.tessera.plan.Plan;
import org.tessera.plan.Workload;

/** A plan as a terminal shows it. */
final class PlanTable {
  private PlanTable() {}

  static void print(Plan plan, PrintStream out) {
    lines(plan).forEach(out::println);
  }

  private static List<String> lines(Plan plan) {
    List<String> lines = new ArrayList<>();
    lines.add(plan.reason());
    for (Plan.PerDevice device : plan.breakdown()) {
      lines.add(
          "  %-4s %s: weights %s, keys and values %s, activations %s, vision %s, runtime %s"
              .formatted(
                  device.device(),
                  ByteSize.format(device.totalBytes()),
                  ByteSize.format(device.weightBytes()),
                  ByteSize.format(device.kvBytes()),
                  ByteSize.format(device.activationBytes()),
                  ByteSize.format(device.visionPeakBytes()),
                  ByteSize.format(device.runtimeBytes())));
    }
    plan.deviceMap()
        .forEach((module, device) ->
            lines.add("  %s -> %s".formatted(module.isEmpty() ? "everything" : module, device)));
    if (!plan.candidates().isEmpty()) {
      lines.add("predicted for " + describe(plan.workload()) + ":");
      int width = plan.candidates().stream().mapToInt(way -> way.name().length()).max().orElse(0);
      lines.add(row(" ", " ".repeat(width), "first token", "a token", "tokens/s", ""));
      plan.candidates().forEach(candidate -> lines.add(row(plan, candidate, width)));
    }
    plan.notes().forEach(note -> lines.add("note: " + note));
    return lines.stream().map(String::stripTrailing).toList();
  }

  private static String describe(Workload workload) {
    return "a prompt of %d tokens%s, %s"
        .formatted(
            workload.promptTokens(),
            workload.sliceCount() == 0
                ? ""
                : " with a picture of %d slices".formatted(workload.sliceCount()),
            workload.batch() == 1
                ? "one answer at a time"
                : workload.batch() + " answers at a time");
  }

  private static String row(Plan plan, Candidate candidate, int width) {
    String name = candidate.name() + " ".repeat(width - candidate.name().length());
    return switch (candidate) {
      case Refused refused -> row(" ", name, "-", "-", "-", refused.reason());
      case Feasible feasible ->
          row(
              plan.isChosen(candidate) ? "*" : " ",
              name,
              time(feasible.prediction().firstTokenSeconds()),
              time(feasible.prediction().tokenSeconds()),
              threeDigits(feasible.prediction().tokensPerSecond()),
              feasible.reason());
    };
  }

  private static String row(
      String mark, String name, String first, String token, String rate, String reason) {
    return "%s %s  %11s  %8s  %8s  %s".formatted(mark, name, first, token, rate, reason);
  }

  private static String time(double seconds) {
    return seconds < 10 ? threeDigits(seconds * 1e3) + " ms" : threeDigits(seconds) + " s";
  }

  /** Predictions are good for no more: 4.87, 53.9, 206, 10825. */
  private static String threeDigits(double value) {
    int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }
}
