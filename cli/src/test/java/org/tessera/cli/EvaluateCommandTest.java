package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.api.InputOptions;
import org.tessera.cli.Turn.Content;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Evaluation with the reference checkpoint, whose answers are noise but always the same. */
class EvaluateCommandTest {
  @TempDir Path directory;

  @Test
  void countsRightAnswersByCategoryAndLanguage() throws Exception {
    write("questions.jsonl", question("a", "counting", "x"), question("b", "greeting", "y"));
    Path answered = directory.resolve("answered.jsonl");
    Cli.Result unknown = evaluate("--write", answered.toString());

    // None is right, and one of the two has a threshold.
    assertThat(unknown.status()).as(unknown.err()).isEqualTo(CommandRunner.FAILED);
    assertThat(unknown.out())
        .contains("2 questions in ")
        .containsPattern("(?m)^counting +0/1 +0\\.0% +0/1 +0\\.0%  95 % MISSED$")
        .containsPattern("(?m)^greeting +0/1 +0\\.0% +0/1 +0\\.0%$")
        .contains("red and blue told apart in 0 of 0 pairs");

    // The same questions, with what the model answers as the right answer.
    List<String> lines = Files.readAllLines(answered);
    assertThat(lines).hasSize(2);
    ObjectNode first = (ObjectNode) JsonMapper.shared().readTree(lines.getFirst());
    String text = first.get("predicted").asString();
    assertThat(text).isNotEmpty();
    write("questions.jsonl", question("a", "counting", text));
    Cli.Result right = evaluate("--in-flight", "1", "--compare", answered.toString());

    assertThat(right.status()).as(right.out()).isZero();
    assertThat(right.out())
        .containsPattern("(?m)^counting +1/1 +100\\.0% +1/1 +100\\.0%  95 % met$")
        .contains("the same answers to 1 of 1 questions: 100.00 %, threshold 99.5 % met")
        .contains("an answer took ");
  }

  @Test
  void otherAnswersThanThoseComparedWithFail() throws Exception {
    write("questions.jsonl", question("a", "greeting", "x"));
    ObjectNode other = question("a", "greeting", "x").put("predicted", "something else");
    write("other.jsonl", other);
    Path file = directory.resolve("other.jsonl");

    Cli.Result result = evaluate("--compare", file.toString());

    assertThat(result.status()).isEqualTo(CommandRunner.FAILED);
    assertThat(result.out())
        .contains("a: \"")
        .contains("the other answered \"something else\", right is \"x\"")
        .contains("the same answers to 0 of 1 questions: 0.00 %, threshold 99.5 % MISSED");

    write("other.jsonl", question("b", "greeting", "x").put("predicted", "x"));
    assertThat(evaluate("--compare", file.toString()).err())
        .contains("--compare holds no answer to any of the questions");
  }

  @Test
  void bothPicturesOfARedAndBluePairMustBeRight() throws Exception {
    write("questions.jsonl", question("a", "greeting", "x").put("red_blue", 3));

    Cli.Result result = evaluate();

    assertThat(result.status()).isEqualTo(CommandRunner.FAILED);
    assertThat(result.out()).contains("red and blue told apart in 0 of 1 pairs");
  }

  @Test
  void questionsAreRead() throws Exception {
    ObjectNode video = question("v", "video", "It moves up.").put("red_blue", 0);
    video.putObject("options").put("max_slice_nums", 2).put("use_image_id", false);
    write("questions.jsonl", video);

    EvaluationQuestion read = EvaluationQuestion.readDirectory(directory).getFirst();

    assertThat(read.input())
        .isEqualTo(
            InputOptions.defaults().withApplyExif(false).withMaxSliceNums(2).withUseImageId(false));
    assertThat(read.redBlue()).isEqualTo(OptionalInt.of(0));
    assertThat(read.predicted()).isEmpty();
    assertThat(read.turns().getFirst().content())
        .contains(new Content.Picture(directory.toAbsolutePath().resolve("tiny.png")));
  }

  @Test
  void wrongQuestionsAreRefusedWithTheLine() throws Exception {
    ObjectNode valid = question("a", "greeting", "x");
    for (JsonNode wrong :
        List.of(
            JsonMapper.shared().readTree("[]"),
            valid.deepCopy().put("answer", 1),
            valid.deepCopy().put("messages", "Hello"))) {
      write("questions.jsonl", valid, wrong);
      assertThatThrownBy(() -> EvaluationQuestion.readDirectory(directory))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("questions.jsonl, line 2");
    }
    Files.writeString(directory.resolve("questions.jsonl"), "");
    assertThat(evaluate().err()).contains("questions.jsonl holds no questions");
    Files.delete(directory.resolve("questions.jsonl"));
    assertThat(evaluate().err()).contains("questions.jsonl cannot be read");
    assertThat(evaluate("--in-flight", "0").status()).isEqualTo(CommandRunner.USAGE);
  }

  @Test
  void failingQuestionsEndTheEvaluation() throws Exception {
    write("questions.jsonl", question("a", "greeting", "x"), question("b", "greeting", "y"));
    Files.delete(directory.resolve("tiny.png"));

    Cli.Result result = evaluate();

    assertThat(result.status()).isEqualTo(CommandRunner.FAILED);
    assertThat(result.err()).contains("the picture file tiny.png cannot be read");
  }

  private Cli.Result evaluate(String... options) {
    List<String> command =
        List.of("evaluate", "--model", Cli.CHECKPOINT, "--questions", directory.toString());
    return Cli.run(Stream.concat(command.stream(), Arrays.stream(options)).toArray(String[]::new));
  }

  private ObjectNode question(String id, String category, String answer) throws Exception {
    Path picture = directory.resolve("tiny.png");
    if (Files.notExists(picture)) {
      Files.copy(Path.of(Cli.image("tiny.png")), picture);
    }
    ObjectNode question =
        JsonMapper.shared()
            .createObjectNode()
            .put("id", id)
            .put("category", category)
            .put("language", "en")
            .put("answer", answer);
    ObjectNode message = question.putArray("messages").addObject().put("role", "user");
    message.putArray("content").addObject().put("image", "tiny.png");
    message.withArray("content").addObject().put("text", "What is this?");
    return question;
  }

  private void write(String file, JsonNode... lines) throws Exception {
    StringBuilder text = new StringBuilder();
    for (JsonNode line : lines) {
      text.append(line).append('\n');
    }
    Files.writeString(directory.resolve(file), text);
  }
}
