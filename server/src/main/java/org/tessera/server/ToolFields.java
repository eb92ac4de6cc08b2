package org.tessera.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.tools.Tool;
import org.tessera.tools.ToolChoice;
import org.tessera.tools.Tools;
import tools.jackson.databind.JsonNode;

/** The fields {@code tools}, {@code tool_choice} and {@code parallel_tool_calls}. */
final class ToolFields {
  private static final int MAX_TOOLS = 128;

  private ToolFields() {}

  /**
   * @param holder the object within a tool that describes the function; empty where the tool itself
   *     does, as in {@code /v1/responses}
   */
  static Tools of(Fields body, String holder, ServerLimits limits) {
    for (String name : List.of("functions", "function_call")) {
      if (body.has(name)) {
        throw ApiException.unsupported(name, name + " is not supported; use tools");
      }
    }
    List<Fields> definitions = body.objects("tools");
    if (definitions.size() > MAX_TOOLS) {
      throw ApiException.tooLarge("tools", "tools may hold %d at most".formatted(MAX_TOOLS));
    }
    List<Tool> tools = new ArrayList<>();
    long characters = 0;
    for (Fields definition : definitions) {
      Tool tool = tool(definition, holder);
      characters += tool.description().length() + tool.parameters().length();
      tools.add(tool);
    }
    if (characters > limits.maxSchemaBytes()) {
      throw ApiException.tooLarge(
          "tools",
          "tools may have %d characters at most together".formatted(limits.maxSchemaBytes()));
    }
    boolean parallel = body.bool("parallel_tool_calls").orElse(true);
    ToolChoice auto = tools.isEmpty() ? new ToolChoice.None() : new ToolChoice.Auto();
    Optional<JsonNode> choice = body.get("tool_choice");
    return new Tools(
        tools, choice.map(value -> choice(body, value, holder, auto)).orElse(auto), parallel);
  }

  private static Tool tool(Fields definition, String holder) {
    if (!definition.requiredString("type").equals("function")) {
      throw ApiException.unsupported(
          definition.param("type"), definition.param("type") + " must be function");
    }
    Fields function =
        holder.isEmpty()
            ? definition
            : definition.object(holder).orElseThrow(() -> definition.missing(holder));
    return new Tool(
        function.requiredString("name"),
        function.string("description").orElse(""),
        function.object("parameters").map(schema -> schema.node().toString()).orElse("{}"));
  }

  private static ToolChoice choice(Fields body, JsonNode value, String holder, ToolChoice auto) {
    if (value.isString()) {
      return switch (value.stringValue()) {
        case "none" -> new ToolChoice.None();
        case "auto" -> auto;
        case "required" -> new ToolChoice.Required();
        default ->
            throw ApiException.invalid(
                "tool_choice", "tool_choice must be none, auto, required or name a function");
      };
    }
    Fields choice = body.object("tool_choice").orElseThrow();
    if (!choice.requiredString("type").equals("function")) {
      throw ApiException.unsupported("tool_choice.type", "tool_choice.type must be function");
    }
    Fields function =
        holder.isEmpty() ? choice : choice.object(holder).orElseThrow(() -> choice.missing(holder));
    return new ToolChoice.Function(function.requiredString("name"));
  }
}
