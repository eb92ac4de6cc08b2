package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.LoadOptions;
import org.tessera.api.Message;
import org.tessera.api.Tessera;
import org.tessera.cli.Evaluation.Answered;
import org.tessera.cli.EvaluationTable.Score;

/** What the demo model answers, in the library and through the command. */
class DemoModelTest {
  private static final Installation PROJECT = new Installation(Optional.of(Cli.PROJECT));
  private static final Path PICTURES = Cli.PROJECT.resolve("demo/pictures");
  private static final Path SAMPLE = Cli.PROJECT.resolve("demo/evaluation-sample");
  private static final String QUESTION = "What colour is the circle?";

  private static Tessera tessera;

  @BeforeAll
  static void load() {
    Optional<Path> model = PROJECT.demoModel();
    assumeTrue(model.isPresent(), "the demo model has no weights in demo/model");
    tessera = Tessera.load(model.orElseThrow(), LoadOptions.defaults().withDevice("cpu"));
  }

  @AfterAll
  static void close() {
    if (tessera != null) {
      tessera.close();
    }
  }

  /** Less likely than this is not put down to chance. */
  private static final double SIGNIFICANCE = 0.01;

  private static final double ALL_RIGHT_PERCENT = 95;

  /**
   * About a hundred of the held-out questions. A category has 8 to 14 of them, too few to tell 97 %
   * from 92, so what is demanded of each is that so many wrong answers could come by chance of a
   * model that meets the threshold. Of the answers 99.5 % must be those of the training code: with
   * so few, each one.
   */
  @Test
  void answersTheSampleRightlyAndAsTheTrainingCodeDoes() {
    List<EvaluationQuestion> questions = EvaluationQuestion.readDirectory(SAMPLE);
    assertThat(questions).hasSizeGreaterThanOrEqualTo(100);

    List<Answered> answers = new Evaluation(tessera, 16).ask(questions, answered -> {});

    List<String> different = new ArrayList<>();
    List<String> wrong = new ArrayList<>();
    for (Answered answer : answers) {
      EvaluationQuestion question = answer.question();
      String described = question.id() + ": " + answer.text();
      if (!answer.text().equals(question.predicted().orElseThrow())) {
        different.add(described + " and not " + question.predicted().get());
      }
      if (!answer.isRight()) {
        wrong.add(described + " and not " + question.answer());
      }
    }
    assertThat(different).hasSizeLessThanOrEqualTo((int) (questions.size() * 0.005));
    EvaluationTable table = new EvaluationTable(answers);
    List<String> withThreshold =
        table.categories().stream()
            .filter(category -> EvaluationTable.threshold(category).isPresent())
            .toList();
    assertThat(withThreshold).hasSize(7);
    for (String category : withThreshold) {
      Score score = table.score(category);
      assertPlausible(score, EvaluationTable.threshold(category).orElseThrow(), category, wrong);
    }
    assertPlausible(table.score("all"), ALL_RIGHT_PERCENT, "all", wrong);
    assertThat(table.redBlue()).isNotEmpty().allSatisfy((pair, told) -> assertThat(told).isTrue());
  }

  private static void assertPlausible(
      Score score, double rightPercent, String category, List<String> wrong) {
    assertThat(probabilityOfSoMany(score.wrong(), score.seen(), 1 - rightPercent / 100))
        .as("%s: %d of %d are wrong: %s", category, score.wrong(), score.seen(), wrong)
        .isGreaterThan(SIGNIFICANCE);
  }

  /** Of at least {@code wrong} among {@code seen}, each with this probability: binomial. */
  private static double probabilityOfSoMany(int wrong, int seen, double probability) {
    double fewer = 0;
    double exactly = Math.pow(1 - probability, seen);
    for (int count = 0; count < wrong; count++) {
      fewer += exactly;
      exactly *= (seen - count) / (count + 1.0) * probability / (1 - probability);
    }
    return 1 - fewer;
  }

  /** Pictures that are dropped on the way would make these two answers one. */
  @Test
  void redAndBlueAreToldApartInTheLibrary() {
    assertThat(answer("red.png")).isEqualTo("The circle is red.");
    assertThat(answer("blue.png")).isEqualTo("The circle is blue.");
  }

  @Test
  void redAndBlueAreToldApartWhenAskedAtTheSameTime() {
    List<ChatRequest> requests = List.of(request("red.png"), request("blue.png"));
    assertThat(tessera.chat(requests))
        .extracting(response -> response.text())
        .containsExactly("The circle is red.", "The circle is blue.");
  }

  @Test
  void redAndBlueAreToldApartByTheCommand() {
    assertThat(chat("red.png").out().strip()).isEqualTo("The circle is red.");
    assertThat(chat("blue.png").out().strip()).isEqualTo("The circle is blue.");
  }

  @Test
  void chatWithoutAModelSaysThatThisIsTheDemoModel() {
    assertThat(chat("red.png").err())
        .startsWith("no --model: this is the project's small demo model");
  }

  private static Cli.Result chat(String picture) {
    Cli.Result result =
        Cli.run(
            PROJECT,
            "chat",
            "--device",
            "cpu",
            "--image",
            PICTURES.resolve(picture).toString(),
            "--prompt",
            QUESTION,
            "--temperature",
            "0");
    assertThat(result.status()).as(result.err()).isZero();
    return result;
  }

  private static String answer(String picture) {
    return tessera.chat(request(picture)).text();
  }

  private static ChatRequest request(String picture) {
    return ChatRequest.of(Message.user(QUESTION, Image.of(PICTURES.resolve(picture))))
        .with(GenerationOptions.greedy());
  }
}
