package org.tessera.prompt;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.image.Grid;
import org.tessera.text.RandomText;
import org.tessera.text.Tokenizer;
import org.tessera.text.TokenizerVectors;

/** The ids are those of the whole expanded prompt, tokenized as one string. */
class PromptExactnessTest {
  private static final int QUERY_NUM = 3;
  private static final Image PICTURE = new Image.Rgb("dot.png", 1, 1, new byte[3]);

  private final Random random = new Random(12);
  private final RandomText texts = new RandomText(random);

  @Test
  void conformanceTokenizer() {
    compare(Tokenizer.load(TokenizerVectors.checkpoint()));
  }

  @Test
  void realVocabulary(@TempDir Path temporary) throws IOException {
    Tokenizer tokenizer = Tokenizer.load(TokenizerVectors.qwen2Checkpoint(temporary));
    compare(tokenizer);
    PromptBuilder builder =
        new PromptBuilder(tokenizer, ImageTokens.defaults(), QUERY_NUM, true, 32768);
    assertThat(
            builder
                .build(List.of(Message.user("Hello!")), List.of(), InputOptions.defaults(), true)
                .toArray())
        .containsExactly(
            151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198, 151644, 872, 198,
            9707, 0, 151645, 198, 151644, 77091, 198);
  }

  private void compare(Tokenizer tokenizer) {
    PromptBuilder builder =
        new PromptBuilder(tokenizer, ImageTokens.defaults(), QUERY_NUM, true, 32768);
    for (int i = 0; i < 2_000; i++) {
      List<Message> messages = new ArrayList<>();
      List<Optional<Grid>> grids = new ArrayList<>();
      StringBuilder expected = new StringBuilder();
      if (random.nextBoolean()) {
        messages.add(Message.system(texts.next()));
      } else {
        expected.append("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n");
      }
      for (int turns = random.nextInt(3) * 2; turns >= 0; turns--) {
        messages.add(new Message(turns % 2 == 0 ? Role.USER : Role.ASSISTANT, parts(grids)));
      }
      append(messages, grids, expected);
      expected.append("<|im_start|>assistant\n");
      Prompt prompt = builder.build(messages, grids, InputOptions.defaults(), true);
      assertThat(prompt.toArray())
          .as(expected.toString())
          .isEqualTo(tokenizer.encodeTrusted(expected.toString()));
    }
  }

  private List<Part> parts(List<Optional<Grid>> grids) {
    List<Part> parts = new ArrayList<>();
    for (int part = random.nextInt(3); part >= 0; part--) {
      if (random.nextInt(4) == 0) {
        parts.add(new Part.Picture(PICTURE));
        grids.add(
            random.nextBoolean()
                ? Optional.empty()
                : Optional.of(new Grid(random.nextInt(1, 4), random.nextInt(1, 4))));
      } else {
        parts.add(new Part.Text(texts.next()));
      }
    }
    return parts;
  }

  private static void append(
      List<Message> messages, List<Optional<Grid>> grids, StringBuilder out) {
    int picture = 0;
    for (Message message : messages) {
      List<String> parts = new ArrayList<>();
      for (Part part : message.content()) {
        parts.add(
            switch (part) {
              case Part.Text text -> text.text();
              case Part.Picture image -> placeholder(picture, grids.get(picture++));
            });
      }
      out.append("<|im_start|>").append(message.role().lowerCase()).append('\n');
      out.append(String.join("\n", parts)).append("<|im_end|>\n");
    }
  }

  private static String placeholder(int index, Optional<Grid> grid) {
    String unk = "<unk>".repeat(QUERY_NUM);
    String text = "<image_id>" + index + "</image_id><image>" + unk + "</image>";
    if (grid.isPresent()) {
      String row = ("<slice>" + unk + "</slice>").repeat(grid.get().columns());
      text += String.join("\n", Collections.nCopies(grid.get().rows(), row));
    }
    return text;
  }
}
