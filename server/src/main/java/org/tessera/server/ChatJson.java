package org.tessera.server;

import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.tessera.api.ChatResponse;
import org.tessera.api.FinishReason;
import org.tessera.api.Tessera;
import org.tessera.api.Timings;
import org.tessera.api.TokenLogprob;
import org.tessera.api.Usage;
import org.tessera.tools.ToolCall;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The objects of one chat completion, all with the same id and time. */
final class ChatJson {
  private final Tessera tessera;
  private final String model;
  private final String id = "chatcmpl-" + UUID.randomUUID().toString().replace("-", "");
  private final long createdSeconds = Instant.now().getEpochSecond();

  ChatJson(Tessera tessera, String model) {
    this.tessera = tessera;
    this.model = model;
  }

  ObjectNode completion(List<ObjectNode> choices, ObjectNode usage) {
    ObjectNode body = head("chat.completion");
    body.putArray("choices").addAll(choices);
    body.set("usage", usage);
    return body;
  }

  ObjectNode choice(
      int index,
      AnswerParts parts,
      FinishReason reason,
      boolean logprobs,
      List<TokenLogprob> tokens) {
    ObjectNode choice = Json.newObject().put("index", index);
    ObjectNode message = choice.putObject("message").put("role", "assistant");
    boolean callsOnly = parts.content().isEmpty() && !parts.calls().isEmpty();
    message.put("content", callsOnly ? null : parts.content()).putNull("refusal");
    if (!parts.calls().isEmpty()) {
      ArrayNode calls = message.putArray("tool_calls");
      parts.calls().forEach(call -> calls.add(call(call)));
    }
    choice.put("finish_reason", parts.finishReason(reason));
    putLogprobs(choice, logprobs, tokens);
    return choice;
  }

  /** A chunk with one choice; {@code finish_reason} is there and null until the last. */
  ObjectNode chunk(int index, ObjectNode delta, boolean withUsage) {
    ObjectNode chunk = head("chat.completion.chunk");
    ObjectNode choice = chunk.putArray("choices").addObject();
    choice.put("index", index);
    choice.set("delta", delta);
    choice.putNull("logprobs");
    choice.putNull("finish_reason");
    if (withUsage) {
      chunk.putNull("usage");
    }
    return chunk;
  }

  ObjectNode textChunk(int index, String text, List<TokenLogprob> tokens, boolean withUsage) {
    ObjectNode chunk = chunk(index, Json.newObject().put("content", text), withUsage);
    putLogprobs((ObjectNode) chunk.at("/choices/0"), !tokens.isEmpty(), tokens);
    return chunk;
  }

  /** A call comes whole. */
  ObjectNode callChunk(int index, int callIndex, ToolCall call, boolean withUsage) {
    ObjectNode delta = Json.newObject();
    delta.putArray("tool_calls").add(Json.newObject().put("index", callIndex).setAll(call(call)));
    return chunk(index, delta, withUsage);
  }

  ObjectNode finishChunk(int index, String reason, boolean withUsage) {
    ObjectNode chunk = chunk(index, Json.newObject(), withUsage);
    ((ObjectNode) chunk.at("/choices/0")).put("finish_reason", reason);
    return chunk;
  }

  /** The chunk after the answers: their usage, and beside it where the time of the first went. */
  ObjectNode usageChunk(List<ChatResponse> responses) {
    ObjectNode chunk = head("chat.completion.chunk");
    chunk.putArray("choices");
    chunk.set("usage", usage(responses));
    Timings timings = responses.getFirst().timings();
    chunk
        .putObject("timings")
        .put("queue_ms", timings.queueMillis())
        .put("preprocess_ms", timings.preprocessMillis())
        .put("vision_ms", timings.visionMillis())
        .put("prefill_ms", timings.prefillMillis())
        .put("tokens_per_second", timings.decodeTokensPerSecond());
    return chunk;
  }

  /** The prompt counts once, whatever the number of answers. */
  static ObjectNode usage(List<ChatResponse> responses) {
    Usage prompt = responses.getFirst().usage();
    int completionTokens =
        responses.stream().mapToInt(response -> response.usage().completionTokens()).sum();
    ObjectNode usage =
        Json.newObject()
            .put("prompt_tokens", prompt.promptTokens())
            .put("completion_tokens", completionTokens)
            .put("total_tokens", prompt.promptTokens() + completionTokens);
    usage
        .putObject("prompt_tokens_details")
        .put("cached_tokens", prompt.cachedTokens())
        .put("image_tokens", prompt.imageTokens())
        .put("text_tokens", prompt.promptTokens() - prompt.imageTokens());
    usage.putObject("completion_tokens_details").put("reasoning_tokens", 0);
    return usage;
  }

  private static ObjectNode call(ToolCall call) {
    ObjectNode node = Json.newObject().put("id", call.id()).put("type", "function");
    node.putObject("function").put("name", call.name()).put("arguments", call.arguments());
    return node;
  }

  private ObjectNode head(String object) {
    return Json.newObject()
        .put("id", id)
        .put("object", object)
        .put("created", createdSeconds)
        .put("model", model);
  }

  private void putLogprobs(ObjectNode choice, boolean wanted, List<TokenLogprob> tokens) {
    if (!wanted) {
      choice.putNull("logprobs");
      return;
    }
    ObjectNode logprobs = choice.putObject("logprobs");
    ArrayNode content = logprobs.putArray("content");
    logprobs.putNull("refusal");
    for (TokenLogprob token : tokens) {
      ObjectNode entry = content.addObject();
      describe(entry, token.tokenId(), token.text(), token.logprob());
      ArrayNode top = entry.putArray("top_logprobs");
      token
          .top()
          .forEach(
              other -> describe(top.addObject(), other.tokenId(), other.text(), other.logprob()));
    }
  }

  private void describe(ObjectNode entry, int tokenId, String text, double logprob) {
    // JSON has no infinity; this is what OpenAI puts where a token is all but impossible.
    entry.put("token", text).put("logprob", Math.max(logprob, -9999.0));
    ArrayNode bytes = entry.putArray("bytes");
    for (byte b : tessera.tokenBytes(tokenId)) {
      bytes.add(b & 0xff);
    }
  }
}
