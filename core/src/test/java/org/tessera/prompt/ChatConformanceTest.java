package org.tessera.prompt;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.image.Grid;
import org.tessera.image.Size;
import org.tessera.image.SlicePlan;
import org.tessera.text.Tokenizer;
import org.tessera.text.TokenizerVectors;
import tools.jackson.databind.JsonNode;

/** Every conversation of chat.json, against the prompt, ids and bounds of the original. */
class ChatConformanceTest {
  private final JsonNode config = read("checkpoint/config.json");
  private final JsonNode preprocessor = read("checkpoint/preprocessor_config.json");
  private final int queryNum = config.get("query_num").intValue();
  private final PromptBuilder builder =
      new PromptBuilder(
          Tokenizer.load(TokenizerVectors.conformance("checkpoint")),
          new ImageTokens(
              preprocessor.get("im_start").stringValue(),
              preprocessor.get("im_end").stringValue(),
              preprocessor.get("slice_start").stringValue(),
              preprocessor.get("slice_end").stringValue(),
              preprocessor.get("unk").stringValue(),
              preprocessor.get("im_id_start").stringValue(),
              preprocessor.get("im_id_end").stringValue()),
          queryNum,
          preprocessor.get("use_image_id").booleanValue(),
          config.get("max_position_embeddings").intValue());

  @TestFactory
  Stream<DynamicTest> conversations() {
    JsonNode cases = read("chat.json");
    assertThat(cases).isNotEmpty();
    return cases
        .valueStream()
        .map(c -> DynamicTest.dynamicTest(c.get("name").stringValue(), () -> check(c)));
  }

  private void check(JsonNode c) {
    List<Message> messages = messages(c);
    JsonNode given = c.get("options");
    InputOptions options = InputOptions.defaults();
    int maxSliceNums =
        given.path("max_slice_nums").asInt(preprocessor.get("max_slice_nums").intValue());
    if (given.has("use_image_id")) {
      options = options.withUseImageId(given.get("use_image_id").booleanValue());
    }
    if (given.has("max_inp_length")) {
      options =
          options.withMaxInputTokens(given.get("max_inp_length").intValue()).withTruncate(true);
    }
    Prompt prompt = builder.build(messages, grids(messages, maxSliceNums), options, true);

    assertThat(render(ChatTemplate.pieces(messages, true)))
        .isEqualTo(c.get("prompt").stringValue());
    assertThat(prompt.tokenIds())
        .isEqualTo(c.get("input_ids").valueStream().map(JsonNode::intValue).toList());
    assertThat(prompt.imageSpans())
        .extracting(span -> List.of(span.start(), span.end()))
        .isEqualTo(
            c.get("image_bound")
                .valueStream()
                .map(bound -> List.of(bound.get(0).intValue(), bound.get(1).intValue()))
                .toList());
    assertThat(prompt.imageTokens()).isEqualTo(queryNum * c.get("image_bound").size());
  }

  private static List<Message> messages(JsonNode c) {
    List<Message> messages = new ArrayList<>();
    JsonNode system = c.get("options").path("system_prompt");
    if (system.isString()) {
      messages.add(Message.system(system.stringValue()));
    }
    for (JsonNode turn : c.get("turns")) {
      List<Part> parts = new ArrayList<>();
      for (JsonNode part : turn.get("content")) {
        parts.add(
            part.has("image")
                ? new Part.Picture(new Image.Encoded(part.get("image").stringValue(), new byte[0]))
                : new Part.Text(part.get("text").stringValue()));
      }
      String role = turn.get("role").stringValue().toUpperCase(Locale.ROOT);
      messages.add(new Message(Role.valueOf(role), parts));
    }
    return messages;
  }

  private static List<Optional<Grid>> grids(List<Message> messages, int maxSliceNums) {
    List<Optional<Grid>> grids = new ArrayList<>();
    for (Message message : messages) {
      for (Part part : message.content()) {
        if (part instanceof Part.Picture picture) {
          grids.add(grid(picture.image().name(), maxSliceNums));
        }
      }
    }
    return grids;
  }

  private static Optional<Grid> grid(String image, int maxSliceNums) {
    Path file = TokenizerVectors.conformance("images/" + image);
    try (ImageInputStream in = ImageIO.createImageInputStream(file.toFile())) {
      ImageReader reader = ImageIO.getImageReaders(in).next();
      reader.setInput(in);
      return SlicePlan.of(new Size(reader.getWidth(0), reader.getHeight(0)), maxSliceNums, 448, 14)
          .grid();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String render(List<Piece> pieces) {
    StringBuilder text = new StringBuilder();
    for (Piece piece : pieces) {
      text.append(
          switch (piece) {
            case Piece.Control control -> control.token();
            case Piece.Text content -> content.text();
            case Piece.Picture picture -> "(<image>./</image>)";
          });
    }
    return text.toString();
  }

  private static JsonNode read(String file) {
    try {
      return TokenizerVectors.read(TokenizerVectors.conformance(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
