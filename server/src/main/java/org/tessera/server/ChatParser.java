package org.tessera.server;

import java.util.ArrayList;
import java.util.List;
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
import tools.jackson.databind.JsonNode;

/** Conversations as OpenAI's clients write them, to {@link ChatRequest}s. */
final class ChatParser {
  private final ServerOptions options;
  private final PictureSource pictures;

  ChatParser(ServerOptions options, PictureSource pictures) {
    this.options = options;
    this.pictures = pictures;
  }

  /** The messages of {@code body} with its options for pictures. */
  ChatRequest parse(Fields body, GenerationOptions generation, PictureMemory memory) {
    Conversation conversation = new Conversation(body, memory);
    if (!body.has("messages")) {
      throw body.missing("messages");
    }
    body.objects("messages").forEach(conversation::message);
    return conversation.request(generation);
  }

  /** For the pictures of one request. */
  PictureMemory memory() {
    return pictures.memory();
  }

  /** One request while its messages are read. */
  private final class Conversation {
    private final Fields body;
    private final PictureMemory memory;
    private final List<Message> messages = new ArrayList<>();
    private int pictureCount;
    private boolean video;
    private @Nullable Integer maxSliceNums;
    private @Nullable Boolean useImageId;

    Conversation(Fields body, PictureMemory memory) {
      this.memory = memory;
      this.body = body;
      noteOptions(body);
    }

    void message(Fields message) {
      Role role =
          switch (message.requiredString("role")) {
            case "system", "developer" -> Role.SYSTEM;
            case "user" -> Role.USER;
            case "assistant" -> Role.ASSISTANT;
            case "tool", "function" ->
                throw ApiException.unsupported(message.param("role"), "tools are not supported");
            default ->
                throw ApiException.invalid(
                    message.param("role"),
                    "%s must be system, user or assistant".formatted(message.param("role")));
          };
      if (!message.array("tool_calls").isEmpty()) {
        throw ApiException.unsupported(message.param("tool_calls"), "tools are not supported");
      }
      Optional<JsonNode> content = message.get("content");
      if (content.isEmpty()) {
        throw message.missing("content");
      }
      if (content.get().isString()) {
        messages.add(new Message(role, List.of(new Part.Text(content.get().stringValue()))));
        return;
      }
      if (!content.get().isArray()) {
        throw message.wrongType("content", "a string or an array");
      }
      List<Part> parts = new ArrayList<>();
      message.objects("content").forEach(part -> parts.addAll(part(part)));
      messages.add(new Message(role, parts));
    }

    private List<Part> part(Fields part) {
      return switch (part.requiredString("type")) {
        case "text", "input_text", "output_text" ->
            List.of(new Part.Text(part.requiredString("text")));
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
      return new ChatRequest(messages, generation, input);
    }
  }
}
