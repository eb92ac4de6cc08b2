package org.tessera.server;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.tools.ToolCall;
import org.tessera.tools.ToolPrompt;
import tools.jackson.databind.JsonNode;

/** One conversation while its messages are read. */
final class Conversation {
  private final Fields body;
  private final ServerOptions options;
  private final PictureSource pictures;
  private final PictureMemory memory;
  private final List<Message> messages = new ArrayList<>();

  /** The calls of the assistant's last turn by id, in order, and what came back so far. */
  private final Map<String, Optional<Message>> results = new LinkedHashMap<>();

  private int pictureCount;
  private boolean video;
  private @Nullable Integer maxSliceNums;
  private @Nullable Boolean useImageId;

  Conversation(Fields body, ServerOptions options, PictureSource pictures, PictureMemory memory) {
    this.body = body;
    this.options = options;
    this.pictures = pictures;
    this.memory = memory;
    noteOptions(body);
  }

  /** A message with the field {@code role}. */
  void message(Fields message) {
    switch (message.requiredString("role")) {
      case "system", "developer" -> add(Role.SYSTEM, parts(message, "content"));
      case "user" -> add(Role.USER, parts(message, "content"));
      case "assistant" -> assistant(message);
      case "tool" -> result(message, "tool_call_id", "content");
      default ->
          throw ApiException.invalid(
              message.param("role"),
              "%s must be system, user, assistant or tool".formatted(message.param("role")));
    }
  }

  void system(String text) {
    add(Role.SYSTEM, List.of(new Part.Text(text)));
  }

  void user(String text) {
    add(Role.USER, List.of(new Part.Text(text)));
  }

  /** What the assistant called, in its turn that has begun or in one of its own. */
  void calls(String content, List<ToolCall> calls, String param) {
    endResults();
    Message turn = ToolPrompt.calls(content, calls);
    boolean sameTurn = !messages.isEmpty() && messages.getLast().role() == Role.ASSISTANT;
    messages.add(sameTurn ? joined(messages.removeLast(), turn.content()) : turn);
    for (ToolCall call : calls) {
      if (results.put(call.id(), Optional.empty()) != null) {
        throw ApiException.invalid(param, "two calls of a message have the same id");
      }
    }
  }

  /**
   * What a function returned.
   *
   * @param idName the field that names the call
   * @param contentName the field with the result
   */
  void result(Fields fields, String idName, String contentName) {
    String id = fields.requiredString(idName);
    if (!results.containsKey(id)) {
      throw ApiException.invalid(
          fields.param(idName),
          "%s is of no call of the assistant's turn before it".formatted(fields.param(idName)));
    }
    results.put(id, Optional.of(new Message(Role.TOOL, parts(fields, contentName))));
  }

  private void assistant(Fields message) {
    List<Fields> calls = message.objects("tool_calls");
    if (calls.isEmpty()) {
      add(Role.ASSISTANT, parts(message, "content"));
      return;
    }
    List<ToolCall> read = new ArrayList<>();
    for (Fields call : calls) {
      Fields function = call.object("function").orElseThrow(() -> call.missing("function"));
      read.add(
          new ToolCall(
              call.requiredString("id"),
              function.requiredString("name"),
              function.requiredString("arguments")));
    }
    StringBuilder content = new StringBuilder();
    if (message.has("content")) {
      for (Part part : parts(message, "content")) {
        if (!(part instanceof Part.Text(String text))) {
          throw message.wrongType("content", "text where there are tool_calls");
        }
        content.append(text);
      }
    }
    calls(content.toString(), read, message.param("tool_calls"));
  }

  private void add(Role role, List<Part> parts) {
    endResults();
    boolean more =
        role == Role.SYSTEM && !messages.isEmpty() && messages.getLast().role() == Role.SYSTEM;
    messages.add(more ? joined(messages.removeLast(), parts) : new Message(role, parts));
  }

  private static Message joined(Message message, List<Part> more) {
    List<Part> parts = new ArrayList<>(message.content());
    parts.addAll(more);
    return new Message(message.role(), parts);
  }

  /** The model hears of results in the order of its calls, as it hears of no ids. */
  private void endResults() {
    results.values().forEach(result -> result.ifPresent(messages::add));
    results.clear();
  }

  private List<Part> parts(Fields message, String name) {
    Optional<JsonNode> content = message.get(name);
    if (content.isEmpty()) {
      throw message.missing(name);
    }
    if (content.get().isString()) {
      return List.of(new Part.Text(content.get().stringValue()));
    }
    if (!content.get().isArray()) {
      throw message.wrongType(name, "a string or an array");
    }
    List<Part> parts = new ArrayList<>();
    message.objects(name).forEach(part -> parts.addAll(part(part)));
    return parts;
  }

  private List<Part> part(Fields part) {
    return switch (part.requiredString("type")) {
      case "text", "input_text", "output_text" ->
          List.of(new Part.Text(part.requiredString("text")));
      case "refusal" -> List.of(new Part.Text(part.requiredString("refusal")));
      case "image_url", "input_image" -> {
        count(part, 1);
        yield List.of(
            new Part.Picture(
                pictures.picture(part.param("image_url"), url(part, "image_url"), memory)));
      }
      case "video_url" -> {
        video = true;
        List<Image> frames =
            pictures.frames(part.param("video_url"), url(part, "video_url"), memory);
        count(part, frames.size());
        yield frames.stream().map(frame -> (Part) new Part.Picture(frame)).toList();
      }
      default ->
          throw ApiException.invalid(
              part.param("type"), "%s is not a kind of content".formatted(part.param("type")));
    };
  }

  private void count(Fields part, int more) {
    pictureCount += more;
    if (pictureCount > options.limits().maxPictures()) {
      throw ApiException.tooLarge(
          part.param("type"),
          "a request may have %d pictures and frames at most"
              .formatted(options.limits().maxPictures()));
    }
  }

  /** A URL in an object, or the URL itself. */
  private String url(Fields part, String name) {
    Optional<JsonNode> value = part.get(name);
    if (value.isPresent() && value.get().isString()) {
      return value.get().stringValue();
    }
    Fields object = part.object(name).orElseThrow(() -> part.missing(name));
    noteOptions(object);
    return object.requiredString("url");
  }

  private void noteOptions(Fields fields) {
    OptionalInt slices = fields.integer("max_slice_nums", 1, options.limits().maxSliceNums());
    if (slices.isPresent()) {
      if (maxSliceNums != null && maxSliceNums != slices.getAsInt()) {
        throw differs(fields, "max_slice_nums");
      }
      maxSliceNums = slices.getAsInt();
    }
    fields
        .bool("use_image_id")
        .ifPresent(value -> {
          if (useImageId != null && !useImageId.equals(value)) {
            throw differs(fields, "use_image_id");
          }
          useImageId = value;
        });
  }

  private ApiException differs(Fields fields, String name) {
    return ApiException.invalid(
        fields.param(name), name + " must be the same for all pictures of a request");
  }

  ChatRequest request(GenerationOptions generation) {
    InputOptions input = video ? InputOptions.video() : InputOptions.defaults();
    input =
        input
            .withMaxInputTokens(options.maxInputTokens())
            .withCacheSalt(body.string("cache_salt").orElse(""));
    if (maxSliceNums != null) {
      input = input.withMaxSliceNums(maxSliceNums);
    }
    if (useImageId != null) {
      input = input.withUseImageId(useImageId);
    }
    endResults();
    return new ChatRequest(messages, generation, input);
  }
}
