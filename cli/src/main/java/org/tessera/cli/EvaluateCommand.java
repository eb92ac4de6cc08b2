package org.tessera.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.IntConsumer;
import org.tessera.api.Tessera;
import org.tessera.cli.Evaluation.Answered;
import org.tessera.error.InvalidRequestException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code tessera evaluate}: how many held-out questions a model answers rightly. */
@Command(
    name = "evaluate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Asks the questions that tools/demo-model/generate.py wrote, takes the likeliest token always,"
          + " and counts the answers that are right as whole strings. Ends with 1 where a category"
          + " misses its threshold.",
      ""
    })
final class EvaluateCommand implements Callable<Integer> {
  /** Percentage of answers that must be those of {@code --compare}. */
  static final double SAME_ANSWERS_PERCENT = 99.5;

  private static final int MAX_IN_FLIGHT = 1024;

  // NullAway: picocli sets it before anything runs.
  @SuppressWarnings("NullAway.Init")
  @Spec
  private CommandSpec spec;

  @Mixin private final ModelArguments model = new ModelArguments();

  @Option(
      names = "--questions",
      paramLabel = "DIR",
      required = true,
      description = "The directory of questions.jsonl and its pictures.")
  private Path questions = Path.of("");

  @Option(
      names = "--in-flight",
      paramLabel = "N",
      defaultValue = "16",
      description =
          "Questions in work at the same time (default: ${DEFAULT-VALUE}); with 1 the time of an"
              + " answer is printed too.")
  private int inFlight = 16;

  @Option(
      names = "--compare",
      paramLabel = "FILE",
      description =
          "Questions with `predicted`, as evaluate.py --write writes them: at least 99.5 %% of the"
              + " answers must be the same.")
  private Optional<Path> compare = Optional.empty();

  @Option(
      names = "--write",
      paramLabel = "FILE",
      description = "Write the questions with `predicted` to FILE.")
  private Optional<Path> write = Optional.empty();

  private final Output output;
  private final ModelLoader loader;

  EvaluateCommand(Output output, Installation installation) {
    this.output = output;
    this.loader = new ModelLoader(output, installation);
  }

  @Override
  public Integer call() {
    if (inFlight < 1 || inFlight > MAX_IN_FLIGHT) {
      throw new ParameterException(
          spec.commandLine(), "--in-flight must be from 1 to " + MAX_IN_FLIGHT);
    }
    List<EvaluationQuestion> asked = EvaluationQuestion.readDirectory(questions);
    Map<String, String> others = new HashMap<>();
    compare.map(EvaluationQuestion::read).orElse(List.of()).stream()
        .filter(question -> question.predicted().isPresent())
        .forEach(question -> others.put(question.id(), question.predicted().get()));
    List<Answered> answers;
    try (Tessera tessera = loader.load(model)) {
      long start = System.nanoTime();
      answers = new Evaluation(tessera, inFlight).ask(asked, progress(asked.size()));
      print(
          "%d questions in %.0f s on %s, %d at a time",
          answers.size(), (System.nanoTime() - start) / 1e9, tessera.info().deviceName(), inFlight);
    }
    write.ifPresent(file -> write(file, answers));
    if (inFlight == 1) {
      printTimes(answers);
    }
    EvaluationTable table = new EvaluationTable(answers);
    table.lines().forEach(output.out()::println);
    boolean same = compare.isEmpty() || compare(answers, others);
    return same && table.passes() ? 0 : CommandRunner.FAILED;
  }

  private IntConsumer progress(int count) {
    if (!output.showProgress()) {
      return answered -> {};
    }
    return answered -> {
      output.err().printf("\r%d of %d", answered, count);
      if (answered == count) {
        output.err().print("\r\033[2K");
      }
      output.err().flush();
    };
  }

  private void printTimes(List<Answered> answers) {
    double[] millis = answers.stream().mapToDouble(Answered::millis).sorted().toArray();
    print(
        "an answer took %.2f s in the median, %.2f s at most for 95 %% of them, %.2f s at most",
        millis[millis.length / 2] / 1000,
        millis[(int) Math.ceil(millis.length * 0.95) - 1] / 1000,
        millis[millis.length - 1] / 1000);
  }

  /** Whether enough answers are those of the other; the ones that are not are printed. */
  private boolean compare(List<Answered> answers, Map<String, String> others) {
    int compared = 0;
    int same = 0;
    for (Answered answer : answers) {
      String other = others.get(answer.question().id());
      if (other == null) {
        continue;
      }
      compared++;
      if (answer.text().equals(other)) {
        same++;
      } else {
        print(
            "%s: \"%s\", the other answered \"%s\", right is \"%s\"",
            answer.question().id(), answer.text(), other, answer.question().answer());
      }
    }
    if (compared == 0) {
      throw new InvalidRequestException("--compare holds no answer to any of the questions");
    }
    double percent = 100.0 * same / compared;
    boolean enough = percent >= SAME_ANSWERS_PERCENT;
    print(
        "the same answers to %d of %d questions: %.2f %%, threshold %.1f %% %s",
        same, compared, percent, SAME_ANSWERS_PERCENT, enough ? "met" : "MISSED");
    return enough;
  }

  private static void write(Path file, List<Answered> answers) {
    StringBuilder lines = new StringBuilder();
    for (Answered answer : answers) {
      lines
          .append(answer.question().json().deepCopy().put("predicted", answer.text()))
          .append('\n');
    }
    try {
      Files.writeString(file, lines);
    } catch (IOException e) {
      throw new InvalidRequestException(
          "the answers cannot be written (%s)".formatted(e.getClass().getSimpleName()), e);
    }
  }

  private void print(String format, Object... values) {
    output.out().println(String.format(Locale.ROOT, format, values));
  }
}
