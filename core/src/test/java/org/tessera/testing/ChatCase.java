package org.tessera.testing;

import java.util.ArrayList;
import java.util.List;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import tools.jackson.databind.JsonNode;

/** A conversation of chat.json as a request. Its {@code toString} names the test. */
public record ChatCase(JsonNode json) {
  public static List<ChatCase> all() {
    List<ChatCase> cases = new ArrayList<>();
    ReferenceVectors.json("chat.json").forEach(json -> cases.add(new ChatCase(json)));
    return cases;
  }

  public String name() {
    return json.get("name").asString();
  }

  public ChatRequest request(GenerationOptions generation) {
    return new ChatRequest(messages(), generation, inputOptions());
  }

  public List<Message> messages() {
    List<Message> messages = new ArrayList<>();
    JsonNode system = json.get("options").get("system_prompt");
    if (system != null) {
      messages.add(Message.system(system.asString()));
    }
    for (JsonNode turn : json.get("turns")) {
      List<Part> parts = new ArrayList<>();
      for (JsonNode part : turn.get("content")) {
        parts.add(
            part.has("image")
                ? new Part.Picture(
                    Image.of(ReferenceVectors.path("images").resolve(part.get("image").asString())))
                : new Part.Text(part.get("text").asString()));
      }
      messages.add(
          new Message(
              turn.get("role").asString().equals("user") ? Role.USER : Role.ASSISTANT, parts));
    }
    return messages;
  }

  /** As the original ran: EXIF ignored, prompts cut. */
  public InputOptions inputOptions() {
    JsonNode options = json.get("options");
    InputOptions input = InputOptions.defaults().withApplyExif(false).withTruncate(true);
    if (options.has("max_slice_nums")) {
      input = input.withMaxSliceNums(options.get("max_slice_nums").asInt());
    }
    if (options.has("use_image_id")) {
      input = input.withUseImageId(options.get("use_image_id").asBoolean());
    }
    if (options.has("max_inp_length")) {
      input = input.withMaxInputTokens(options.get("max_inp_length").asInt());
    }
    return input;
  }

  public List<Integer> ids(String key) {
    return ReferenceVectors.intList(json.get(key));
  }

  @Override
  public String toString() {
    return name();
  }
}
