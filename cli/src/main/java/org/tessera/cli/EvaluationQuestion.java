package org.tessera.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.api.InputOptions;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A question with the one answer that is right, as {@code tools/demo-model/generate.py} writes it.
 *
 * @param turns the conversation up to the question
 * @param answer the whole right answer
 * @param redBlue the number of the pair of pictures that differ in one colour, where it is of one
 * @param predicted what somebody answered already
 * @param json the line of the file
 */
record EvaluationQuestion(
    String id,
    String category,
    String language,
    List<Turn> turns,
    InputOptions input,
    String answer,
    OptionalInt redBlue,
    Optional<String> predicted,
    ObjectNode json) {
  private static final String FILE = "questions.jsonl";

  EvaluationQuestion {
    turns = List.copyOf(turns);
  }

  /**
   * The questions of {@code questions.jsonl} in a directory.
   *
   * @throws InvalidRequestException where the file cannot be read or holds something else
   */
  static List<EvaluationQuestion> readDirectory(Path directory) {
    return read(directory.resolve(FILE));
  }

  /** As {@link #readDirectory}, of a file with any name; pictures are relative to it. */
  static List<EvaluationQuestion> read(Path file) {
    String name = StrictJson.printable(String.valueOf(file.getFileName()));
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      throw new InvalidRequestException(
          "the questions in %s cannot be read (%s)".formatted(name, e.getClass().getSimpleName()),
          e);
    }
    List<EvaluationQuestion> questions = new ArrayList<>(lines.size());
    for (int i = 0; i < lines.size(); i++) {
      questions.add(parse("%s, line %d".formatted(name, i + 1), file, lines.get(i)));
    }
    if (questions.isEmpty()) {
      throw new InvalidRequestException(name + " holds no questions");
    }
    return questions;
  }

  private static EvaluationQuestion parse(String where, Path file, String line) {
    JsonNode node;
    try {
      node = StrictJson.tree(where, line.getBytes(StandardCharsets.UTF_8));
    } catch (CheckpointException e) {
      throw new InvalidRequestException(String.valueOf(e.getMessage()), e);
    }
    if (!(node instanceof ObjectNode question)) {
      throw new InvalidRequestException(where + " is no object");
    }
    Path directory = file.toAbsolutePath().resolveSibling("");
    JsonNode redBlue = question.path("red_blue");
    return new EvaluationQuestion(
        string(where, question, "id"),
        string(where, question, "category"),
        string(where, question, "language"),
        MessagesFile.parse(where, directory, question.path("messages")),
        input(question.path("options")),
        string(where, question, "answer"),
        redBlue.isInt() ? OptionalInt.of(redBlue.intValue()) : OptionalInt.empty(),
        question.path("predicted").stringValueOpt(),
        question);
  }

  /** Frames of a video have options of their own; pictures are taken as they are stored. */
  private static InputOptions input(JsonNode options) {
    InputOptions input = InputOptions.defaults().withApplyExif(false);
    if (options.path("max_slice_nums").isInt()) {
      input = input.withMaxSliceNums(options.path("max_slice_nums").intValue());
    }
    if (options.path("use_image_id").isBoolean()) {
      input = input.withUseImageId(options.path("use_image_id").booleanValue());
    }
    return input;
  }

  private static String string(String where, ObjectNode question, String key) {
    return question
        .path(key)
        .stringValueOpt()
        .orElseThrow(
            () -> new InvalidRequestException("%s: \"%s\" must be a string".formatted(where, key)));
  }
}
