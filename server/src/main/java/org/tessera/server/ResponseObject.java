package org.tessera.server;

import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatResponse;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Usage;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The object that {@code /v1/responses} answers with, at each stage of its life. */
final class ResponseObject {
  private static final List<String> ECHOED =
      List.of("instructions", "max_output_tokens", "text", "tool_choice", "tools", "metadata");

  private final String id = freshId("resp_");
  private final long createdSeconds = Instant.now().getEpochSecond();

  /** What goes back as it came, without the input, which may be large. */
  private final ObjectNode echoed = Json.newObject();

  private final String model;
  private final GenerationOptions options;
  private final boolean parallelCalls;
  private final ArrayNode output = Json.newObject().putArray("output");
  private @Nullable ChatResponse response;

  ResponseObject(Fields body, String model, GenerationOptions options, boolean parallelCalls) {
    ECHOED.forEach(name -> body.get(name).ifPresent(value -> echoed.set(name, value)));
    this.model = model;
    this.options = options;
    this.parallelCalls = parallelCalls;
  }

  static String freshId(String prefix) {
    return prefix + UUID.randomUUID().toString().replace("-", "");
  }

  /** Adds an item and returns its index. */
  int add(ObjectNode item) {
    output.add(item);
    return output.size() - 1;
  }

  void end(ChatResponse ended) {
    response = ended;
  }

  boolean isIncomplete() {
    return response != null && response.finishReason() == FinishReason.LENGTH;
  }

  /** While the answer is made: without what it consists of. */
  ObjectNode inProgress() {
    ObjectNode object = object("in_progress", Json.newObject().putArray("output"));
    return object.putNull("usage");
  }

  ObjectNode failed(ApiException e) {
    ObjectNode object = object("failed", output).putNull("usage");
    object.putObject("error").put("code", "server_error").put("message", e.getMessage());
    return object;
  }

  ObjectNode finished() {
    ObjectNode object = object(isIncomplete() ? "incomplete" : "completed", output);
    if (isIncomplete()) {
      object.putObject("incomplete_details").put("reason", "max_output_tokens");
    }
    if (response != null) {
      object.set("usage", usage(response.usage()));
    }
    return object;
  }

  private ObjectNode object(String status, ArrayNode items) {
    ObjectNode object =
        Json.newObject()
            .put("id", id)
            .put("object", "response")
            .put("created_at", createdSeconds)
            .put("status", status)
            .put("background", false)
            .putNull("error")
            .putNull("incomplete_details");
    object.set("instructions", echo("instructions", object.nullNode()));
    object.set("max_output_tokens", echo("max_output_tokens", object.nullNode()));
    object.put("model", model);
    object.set("output", items);
    object
        .put("parallel_tool_calls", parallelCalls)
        .putNull("previous_response_id")
        .put("store", false)
        .put("temperature", options.temperature())
        .put("top_p", options.topP())
        .put("truncation", "disabled");
    object.set("text", echo("text", text()));
    object.set("tool_choice", echo("tool_choice", object.stringNode("auto")));
    object.set("tools", echo("tools", object.arrayNode()));
    object.set("metadata", echo("metadata", object.objectNode()));
    return object;
  }

  private JsonNode echo(String name, JsonNode otherwise) {
    return echoed.has(name) ? echoed.get(name) : otherwise;
  }

  private static ObjectNode text() {
    ObjectNode text = Json.newObject();
    text.putObject("format").put("type", "text");
    return text;
  }

  private static ObjectNode usage(Usage usage) {
    ObjectNode node = Json.newObject().put("input_tokens", usage.promptTokens());
    node.putObject("input_tokens_details")
        .put("cached_tokens", usage.cachedTokens())
        .put("cache_write_tokens", 0)
        .put("image_tokens", usage.imageTokens());
    node.put("output_tokens", usage.completionTokens());
    node.putObject("output_tokens_details").put("reasoning_tokens", 0);
    return node.put("total_tokens", usage.promptTokens() + usage.completionTokens());
  }
}
