package org.tessera.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.LoadOptions;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.api.Tessera;
import org.tessera.error.CheckpointException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What the demo shows where no trained model ships: the whole way from picture files to text on the
 * reference checkpoint. Its weights are random and its answers noise, but the original model code
 * answered the same questions, and every token must be the same.
 */
final class ReferenceDemo {
  private static final List<String> CASES =
      List.of("small_image", "sliced_hd", "two_images", "multi_turn");
  private static final int MAX_NEW_TOKENS = 24;

  private final Output output;
  private final Path vectors;

  ReferenceDemo(Output output, Path vectors) {
    this.output = output;
    this.vectors = vectors;
  }

  /** Returns the exit code: 1 where a token differs. */
  int run(String device) {
    output.note(
        "There is no trained demo model in demo/model yet. Instead, the reference checkpoint:");
    output.note("its weights are random, so its answers are noise, but each must equal, token for");
    output.note("token, what the original model code answered.");
    int different = 0;
    try (Tessera tessera =
        Tessera.load(vectors.resolve("checkpoint"), LoadOptions.defaults().withDevice(device))) {
      for (JsonNode chat : conversations()) {
        if (CASES.contains(chat.path("name").asString(""))) {
          different += play(chat, tessera) ? 0 : 1;
        }
      }
    }
    output.note("");
    output.note("With the real weights: ./tessera chat --model DIR --image FILE --prompt \"...\"");
    return different == 0 ? 0 : 1;
  }

  private JsonNode conversations() {
    try {
      return new JsonMapper().readTree(Files.readAllBytes(vectors.resolve("chat.json")));
    } catch (IOException e) {
      throw new CheckpointException("conformance/chat.json cannot be read", e);
    }
  }

  private boolean play(JsonNode chat, Tessera tessera) {
    List<Message> messages = new ArrayList<>();
    List<String> shown = new ArrayList<>();
    for (JsonNode turn : chat.get("turns")) {
      List<Part> parts = new ArrayList<>();
      for (JsonNode part : turn.get("content")) {
        if (part.has("image")) {
          String file = part.get("image").asString();
          shown.add(file);
          parts.add(new Part.Picture(Image.of(vectors.resolve("images").resolve(file))));
        } else {
          parts.add(new Part.Text(part.get("text").asString()));
        }
      }
      boolean user = turn.get("role").asString().equals("user");
      messages.add(new Message(user ? Role.USER : Role.ASSISTANT, parts));
    }
    output.stream("%n== %s%n".formatted(String.join(", ", shown)));
    for (Message message : messages) {
      for (Part part : message.content()) {
        if (part instanceof Part.Text(String text)) {
          output.stream("%s %s%n".formatted(message.role() == Role.USER ? ">" : " ", text));
        }
      }
    }
    ChatRequest request =
        new ChatRequest(
            messages,
            GenerationOptions.greedy().withMaxNewTokens(MAX_NEW_TOKENS),
            InputOptions.defaults().withApplyExif(false));
    ChatResponse answer = AnswerPrinter.print(output, tessera.stream(request));
    List<Integer> expected = new ArrayList<>();
    chat.get("greedy").forEach(id -> expected.add(id.asInt()));
    boolean same = answer.tokenIds().equals(expected);
    output.note(
        same
            ? "the original's %d tokens: the same".formatted(expected.size())
            : "the original answered otherwise: this is a bug");
    return same;
  }
}
