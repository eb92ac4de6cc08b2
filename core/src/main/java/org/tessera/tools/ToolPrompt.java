package org.tessera.tools;

import java.util.ArrayList;
import java.util.List;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.error.InvalidRequestException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Functions as text of a conversation, in the form that Hermes and Qwen2 share: definitions at the
 * end of the system message within {@code <tools>}, calls within {@code <tool_call>}, results
 * within {@code <tool_response>} in a turn of the user. All of it is plain text, never a control
 * token.
 *
 * <p>MiniCPM-V 2.6 was not trained to call functions. It may ignore the definitions, call what does
 * not fit or invent results: where a call is needed, {@code tool_choice} should demand it, which at
 * least fixes its form. What a user or a function says may imitate these tags, too: a call is a
 * suggestion of the model, to be checked before it is carried out.
 */
public final class ToolPrompt {
  public static final String CALL_START = "<tool_call>";
  public static final String CALL_END = "</tool_call>";
  private static final String RESPONSE_START = "<tool_response>";
  private static final String RESPONSE_END = "</tool_response>";
  private static final String DEFAULT_SYSTEM = "You are a helpful assistant.";
  private static final JsonMapper JSON = new JsonMapper();

  private ToolPrompt() {}

  /**
   * The conversation with what its system message must say about the functions, and with results as
   * turns of the user; those that follow each other share one turn.
   *
   * @throws InvalidRequestException where a function's parameters are not JSON
   */
  public static List<Message> apply(List<Message> messages, Tools tools) {
    List<Message> result = new ArrayList<>();
    boolean afterResponse = false;
    for (Message message : messages) {
      if (message.role() == Role.TOOL) {
        List<Part> parts = new ArrayList<>();
        if (afterResponse) {
          parts.addAll(result.removeLast().content());
        }
        parts.add(new Part.Text(RESPONSE_START));
        parts.addAll(message.content());
        parts.add(new Part.Text(RESPONSE_END));
        result.add(new Message(Role.USER, parts));
      } else {
        result.add(message);
      }
      afterResponse = message.role() == Role.TOOL;
    }
    if (tools.functions().isEmpty() || tools.choice() instanceof ToolChoice.None) {
      return result;
    }
    boolean hasSystem = !result.isEmpty() && result.getFirst().role() == Role.SYSTEM;
    Message system = hasSystem ? result.removeFirst() : Message.system(DEFAULT_SYSTEM);
    List<Part> parts = new ArrayList<>(system.content());
    parts.add(new Part.Text("\n" + definitions(tools.functions())));
    result.addFirst(new Message(Role.SYSTEM, parts));
    return result;
  }

  /** A turn of the assistant that called functions, as it is told to the model again. */
  public static Message calls(String content, List<ToolCall> calls) {
    List<Part> parts = new ArrayList<>();
    if (!content.isEmpty()) {
      parts.add(new Part.Text(content));
    }
    for (ToolCall call : calls) {
      ObjectNode json = JSON.createObjectNode().put("name", call.name());
      json.set("arguments", arguments(call.arguments()));
      parts.add(new Part.Text(CALL_START + "\n" + json + "\n" + CALL_END));
    }
    return new Message(Role.ASSISTANT, parts);
  }

  private static String definitions(List<Tool> tools) {
    StringBuilder text = new StringBuilder("# Functions\n\nFunctions that can be called:\n<tools>");
    for (Tool tool : tools) {
      ObjectNode definition = JSON.createObjectNode().put("type", "function");
      ObjectNode function = definition.putObject("function").put("name", tool.name());
      if (!tool.description().isEmpty()) {
        function.put("description", tool.description());
      }
      function.set("parameters", parameters(tool));
      text.append('\n').append(definition);
    }
    return text.append("\n</tools>\n\nTo call one, answer with its name and arguments as JSON:\n")
        .append(CALL_START)
        .append("\n{\"name\": \"…\", \"arguments\": {…}}\n")
        .append(CALL_END)
        .toString();
  }

  private static JsonNode parameters(Tool tool) {
    try {
      return JSON.readTree(tool.parameters());
    } catch (JacksonException e) {
      throw new InvalidRequestException(
          "the parameters of tool %s are not JSON".formatted(tool.name()), e);
    }
  }

  private static JsonNode arguments(String json) {
    try {
      return JSON.readTree(json);
    } catch (JacksonException e) {
      throw new InvalidRequestException("the arguments of a tool call are not JSON", e);
    }
  }
}
