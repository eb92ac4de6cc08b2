package org.tessera.prompt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.error.CheckpointException;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.Grid;
import org.tessera.text.Tokenizer;

class PromptBuilderTest {
  private static final Image PICTURE = new Image.Rgb("dot.png", 1, 1, new byte[3]);
  private static final InputOptions OPTIONS = InputOptions.defaults();

  private final Tokenizer tokenizer =
      Tokenizer.load(Path.of(System.getProperty("project.root"), "conformance", "checkpoint"));
  private final PromptBuilder builder =
      new PromptBuilder(tokenizer, ImageTokens.defaults(), 64, true, 32768);

  @Test
  void expandsASlicedPicture() {
    Prompt prompt =
        builder.build(
            List.of(Message.user("What?", PICTURE)),
            List.of(Optional.of(new Grid(2, 2))),
            OPTIONS,
            true);
    String unk = "<unk>".repeat(64);
    String slice = "<slice>" + unk + "</slice>";
    assertThat(prompt.toArray())
        .isEqualTo(
            tokenizer.encodeTrusted(
                "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
                    + "<image_id>0</image_id><image>"
                    + unk
                    + "</image>"
                    + slice
                    + slice
                    + "\n"
                    + slice
                    + slice
                    + "\nWhat?<|im_end|>\n<|im_start|>assistant\n"));
    assertThat(prompt.imageSpans())
        .extracting(ImageSpan::sliceIndex)
        .containsExactly(0, 1, 2, 3, 4);
    assertThat(prompt.imageTokens()).isEqualTo(320);
  }

  @Test
  void withoutGenerationPromptTheAssistantMayBeLast() {
    List<Message> messages = List.of(Message.user("Hi"), Message.assistant("Ho"));
    assertThat(
            tokenizer.decode(builder.build(messages, List.of(), OPTIONS, false).tokenIds(), false))
        .endsWith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n");
  }

  @Test
  void refusesWhatIsNoConversation() {
    refused("messages is empty, expected at least one message of the user");
    refused(
        "message 0 (user) has no content, expected a text or a picture",
        new Message(Role.USER, List.of()));
    refused(
        "message 0 is of role assistant, expected the conversation to start with the user",
        Message.assistant("Hi"));
    refused(
        "message 1 is of role assistant, expected the conversation to start with the user",
        Message.system("Be brief."),
        Message.assistant("Hi"));
    refused("there is only a system message, expected one of the user", Message.system("Hi"));
    refused(
        "message 1 is of role system, which only the first message may be",
        Message.user("Hi"),
        Message.system("Be brief."));
    refused(
        "message 0 (system) holds a picture, expected only text",
        new Message(Role.SYSTEM, List.of(new Part.Picture(PICTURE))),
        Message.user("Hi"));
    refused(
        "the last message is of role assistant, expected user",
        Message.user("Hi"),
        Message.assistant("Ho"));
  }

  @Test
  void refusesTooManyCharactersAndPicturesBeforeWorkingOnThem() {
    String half = "a".repeat((1 << 20) / 2);
    refused(
        "the messages have 1048577 characters, at most 1048576 are accepted",
        Message.user(half),
        Message.user(half + "a"));
    List<Part> pictures = Collections.nCopies(100_000, new Part.Picture(PICTURE));
    List<Message> messages = List.of(new Message(Role.USER, pictures));
    List<Optional<Grid>> grids = Collections.nCopies(100_000, Optional.of(new Grid(3, 3)));
    InputOptions truncate = OPTIONS.withTruncate(true);
    assertThatThrownBy(() -> builder.build(messages, grids, truncate, true))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage(
            "100000 pictures need 64000000 tokens, the model has 32768 positions; send fewer"
                + " pictures or frames, or lower max_slice_nums");
  }

  @Test
  void refusesAPromptOverTheLimitWithItsCounts() {
    List<Message> messages = List.of(Message.user("What?", PICTURE));
    List<Optional<Grid>> grids = List.of(Optional.of(new Grid(2, 1)));
    int tokens = builder.build(messages, grids, OPTIONS, true).tokenIds().size();
    assertThat(builder.build(messages, grids, OPTIONS.withMaxInputTokens(tokens), true).tokenIds())
        .hasSize(tokens);
    InputOptions low = OPTIONS.withMaxInputTokens(tokens - 1);
    assertThatThrownBy(() -> builder.build(messages, grids, low, true))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage(
            "the prompt has %d tokens, 192 of them for pictures, the limit is %d; send fewer"
                + " pictures or frames or less text, lower max_slice_nums, or raise"
                + " max_input_tokens, up to the model's 32768 positions",
            tokens, tokens - 1);
    List<Message> digits = List.of(Message.user("1".repeat(40_000)));
    InputOptions high = OPTIONS.withMaxInputTokens(100_000);
    assertThatThrownBy(() -> builder.build(digits, List.of(), high, true))
        .hasMessage("the prompt has 40025 tokens, the limit is 32768; shorten the text");
  }

  @Test
  void cutsTheEndWhereItIsTold() {
    List<Message> messages = List.of(Message.user("What?", PICTURE, PICTURE));
    List<Optional<Grid>> grids = List.of(Optional.of(new Grid(1, 1)), Optional.empty());
    Prompt whole = builder.build(messages, grids, OPTIONS, true);
    for (int limit = 1; limit < whole.tokenIds().size(); limit++) {
      InputOptions cut = OPTIONS.withMaxInputTokens(limit).withTruncate(true);
      List<Integer> head = whole.tokenIds().subList(0, limit);
      long starts = count(head, "<image>") + count(head, "<slice>");
      long ends = count(head, "</image>") + count(head, "</slice>");
      if (starts == ends) {
        Prompt prompt = builder.build(messages, grids, cut, true);
        assertThat(prompt.tokenIds()).isEqualTo(head);
        assertThat(prompt.imageSpans()).isEqualTo(whole.imageSpans().subList(0, (int) ends));
        assertThat(prompt.imageTokens()).isEqualTo(64 * (int) ends);
      } else {
        assertThatThrownBy(() -> builder.build(messages, grids, cut, true))
            .isInstanceOf(InvalidRequestException.class)
            .hasMessageContaining("to %d would cut through picture %d", limit, ends / 2);
      }
    }
  }

  @Test
  void namesTheControlTokenThatIsMissing() {
    ImageTokens wrong =
        new ImageTokens("<image>", "</image>", "<tile>", "</tile>", "<unk>", "<id>", "</id>");
    assertThatThrownBy(() -> new PromptBuilder(tokenizer, wrong, 64, true, 32768))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "preprocessor_config.json: slice_start uses \"<tile>\", which is no special token of"
                + " the tokenizer");
    ImageTokens ordinary =
        new ImageTokens("!", "</image>", "<slice>", "</slice>", "<unk>", "<id>", "</id>");
    assertThatThrownBy(() -> new PromptBuilder(tokenizer, ordinary, 64, true, 32768))
        .hasMessageStartingWith("preprocessor_config.json: im_start uses \"!\"");
  }

  private long count(List<Integer> ids, String token) {
    int id = tokenizer.idOf(token).orElseThrow();
    return IntStream.range(0, ids.size()).filter(i -> ids.get(i) == id).count();
  }

  private void refused(String message, Message... messages) {
    assertThatThrownBy(() -> builder.build(List.of(messages), List.of(), OPTIONS, true))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage(message);
  }
}
