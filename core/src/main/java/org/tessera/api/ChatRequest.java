package org.tessera.api;

import java.util.List;

/** A conversation that waits for its next answer. */
public record ChatRequest(
    List<Message> messages, GenerationOptions generation, InputOptions input) {
  public ChatRequest {
    messages = List.copyOf(messages);
  }

  /** With the original's sampling preset. */
  public static ChatRequest of(Message... messages) {
    return new ChatRequest(
        List.of(messages), GenerationOptions.sampling(), InputOptions.defaults());
  }

  public ChatRequest with(GenerationOptions value) {
    return new ChatRequest(messages, value, input);
  }

  public ChatRequest with(InputOptions value) {
    return new ChatRequest(messages, generation, value);
  }
}
