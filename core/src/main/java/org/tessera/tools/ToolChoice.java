package org.tessera.tools;

/** Whether an answer may, must not or must call functions: OpenAI's {@code tool_choice}. */
public sealed interface ToolChoice {
  /** No calls: the definitions stay out of the prompt. */
  record None() implements ToolChoice {}

  /** As the model likes. */
  record Auto() implements ToolChoice {}

  /** One call or more of any of the functions, and nothing else. */
  record Required() implements ToolChoice {}

  /** One call of this function, and nothing else. */
  record Function(String name) implements ToolChoice {}
}
