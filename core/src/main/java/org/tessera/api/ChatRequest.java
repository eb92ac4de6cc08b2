package org.tessera.api;

import java.util.List;
import org.tessera.tools.Tools;

/**
 * A conversation that waits for its next answer.
 *
 * @param format what the answer must be; where it is not any text, the answer holds no tool calls
 * @param tools functions that the answer may call, see {@link org.tessera.tools.ToolPrompt}
 */
public record ChatRequest(
    List<Message> messages,
    GenerationOptions generation,
    InputOptions input,
    ResponseFormat format,
    Tools tools) {
  public ChatRequest {
    messages = List.copyOf(messages);
  }

  /** Answered with any text, without tools. */
  public ChatRequest(List<Message> messages, GenerationOptions generation, InputOptions input) {
    this(messages, generation, input, new ResponseFormat.Text(), Tools.none());
  }

  /** With the original's sampling preset. */
  public static ChatRequest of(Message... messages) {
    return new ChatRequest(
        List.of(messages), GenerationOptions.sampling(), InputOptions.defaults());
  }

  public ChatRequest with(GenerationOptions value) {
    return new ChatRequest(messages, value, input, format, tools);
  }

  public ChatRequest with(InputOptions value) {
    return new ChatRequest(messages, generation, value, format, tools);
  }

  public ChatRequest with(ResponseFormat value) {
    return new ChatRequest(messages, generation, input, value, tools);
  }

  public ChatRequest with(Tools value) {
    return new ChatRequest(messages, generation, input, format, value);
  }
}
