package org.tessera.server;

import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;

/** Conversations as OpenAI's clients write them, to {@link ChatRequest}s. */
final class ChatParser {
  private final ServerOptions options;
  private final PictureSource pictures;

  ChatParser(ServerOptions options, PictureSource pictures) {
    this.options = options;
    this.pictures = pictures;
  }

  /** The messages of {@code body} with its options for pictures, its format and its tools. */
  ChatRequest parse(Fields body, GenerationOptions generation, PictureMemory memory) {
    if (!body.has("messages")) {
      throw body.missing("messages");
    }
    Conversation conversation = conversation(body, memory);
    body.objects("messages").forEach(conversation::message);
    return conversation
        .request(generation)
        .with(Formats.of(body, options.limits()))
        .with(ToolFields.of(body, "function", options.limits()));
  }

  /** A conversation without messages yet, with the options of {@code body} for pictures. */
  Conversation conversation(Fields body, PictureMemory memory) {
    return new Conversation(body, options, pictures, memory);
  }

  /** For the pictures of one request. */
  PictureMemory memory() {
    return pictures.memory();
  }
}
