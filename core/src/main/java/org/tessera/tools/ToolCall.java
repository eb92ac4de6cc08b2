package org.tessera.tools;

import java.util.UUID;

/**
 * A call that the model asks for, in OpenAI's terms.
 *
 * @param id fresh, for the message that answers it
 * @param name of the function
 * @param arguments JSON, most often an object
 */
public record ToolCall(String id, String name, String arguments) {
  /** With a fresh id. */
  static ToolCall of(String name, String arguments) {
    return new ToolCall(
        "call_" + UUID.randomUUID().toString().replace("-", "").substring(0, 24), name, arguments);
  }
}
