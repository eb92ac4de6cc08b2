package org.tessera.api;

import java.util.List;

/**
 * A conversation that waits for its next answer.
 *
 * @param format what the answer must be
 */
public record ChatRequest(
    List<Message> messages,
    GenerationOptions generation,
    InputOptions input,
    ResponseFormat format) {
  public ChatRequest {
    messages = List.copyOf(messages);
  }

  /** Answered with any text. */
  public ChatRequest(List<Message> messages, GenerationOptions generation, InputOptions input) {
    this(messages, generation, input, new ResponseFormat.Text());
  }

  /** With the original's sampling preset. */
  public static ChatRequest of(Message... messages) {
    return new ChatRequest(
        List.of(messages), GenerationOptions.sampling(), InputOptions.defaults());
  }

  public ChatRequest with(GenerationOptions value) {
    return new ChatRequest(messages, value, input, format);
  }

  public ChatRequest with(InputOptions value) {
    return new ChatRequest(messages, generation, value, format);
  }

  public ChatRequest with(ResponseFormat value) {
    return new ChatRequest(messages, generation, input, value);
  }
}
