package org.tessera.server;

import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.api.ChatRequest;
import org.tessera.api.Tessera;
import org.tessera.tools.ToolCall;
import tools.jackson.databind.JsonNode;

/**
 * {@code POST /v1/responses}, the successor of chat completions. Nothing is stored: a conversation
 * comes whole with each request.
 */
final class ResponsesRoute implements Handler {
  private final Tessera tessera;
  private final Bodies bodies;
  private final ServedModel model;
  private final ServerLimits limits;
  private final ChatParser parser;
  private final Answers answers;

  ResponsesRoute(
      Tessera tessera,
      Bodies bodies,
      ServedModel model,
      ServerLimits limits,
      ChatParser parser,
      Answers answers) {
    this.tessera = tessera;
    this.bodies = bodies;
    this.model = model;
    this.limits = limits;
    this.parser = parser;
    this.answers = answers;
  }

  private record Call(ChatRequest chat, ResponseObject answer, boolean stream) {}

  @Override
  public void handle(ServerRequest request, ServerResponse response) {
    tessera.requireRoom();
    try (PictureMemory memory = parser.memory()) {
      Call call = bodies.parse(request, body -> parse(body, memory));
      ResponseSink sink =
          new ResponseSink(call.chat(), call.answer(), call.stream() ? response : null);
      try {
        answers.run(
            call.chat().generation(),
            () -> List.of(tessera.stream(call.chat())),
            sink,
            sink::stalledNanos);
      } catch (RuntimeException e) {
        sink.fail(e);
        return;
      }
      if (call.stream()) {
        sink.close();
      } else {
        Replies.json(response, call.answer().finished());
      }
    }
  }

  private Call parse(Fields body, PictureMemory memory) {
    model.check(body);
    for (String name : List.of("previous_response_id", "conversation", "prompt")) {
      if (body.has(name)) {
        throw ApiException.unsupported(
            name, name + " is not supported: nothing is stored here, send the whole conversation");
      }
    }
    if (body.flag("background")) {
      throw ApiException.unsupported("background", "background is not supported");
    }
    if (Sampling.topLogprobs(body) > 0) {
      throw ApiException.unsupported(
          "top_logprobs", "top_logprobs is not supported here; use chat completions");
    }
    OptionalInt maxTokens = body.integer("max_output_tokens", 1, Integer.MAX_VALUE);
    ChatRequest chat =
        conversation(body, memory)
            .request(Sampling.options(body, limits, maxTokens, /* logprobs= */ 0))
            .with(Formats.ofResponses(body, limits))
            .with(ToolFields.of(body, "", limits));
    return new Call(
        chat,
        new ResponseObject(body, model.name(), chat.generation(), chat.tools().parallelCalls()),
        body.flag("stream"));
  }

  private Conversation conversation(Fields body, PictureMemory memory) {
    Conversation conversation = parser.conversation(body, memory);
    body.string("instructions").ifPresent(conversation::system);
    Optional<JsonNode> input = body.get("input");
    if (input.isEmpty()) {
      throw body.missing("input");
    }
    if (input.get().isString()) {
      conversation.user(input.get().stringValue());
      return conversation;
    }
    List<ToolCall> calls = new ArrayList<>();
    for (Fields item : body.objects("input")) {
      String type = item.string("type").orElse("message");
      if (!type.equals("function_call") && !calls.isEmpty()) {
        conversation.calls("", calls, "input");
        calls.clear();
      }
      switch (type) {
        case "message" -> conversation.message(item);
        case "function_call" ->
            calls.add(
                new ToolCall(
                    item.requiredString("call_id"),
                    item.requiredString("name"),
                    item.requiredString("arguments")));
        case "function_call_output" -> conversation.result(item, "call_id", "output");
        case "reasoning" -> {} // of another model: this one does not think aloud
        default ->
            throw ApiException.unsupported(
                item.param("type"), "%s is not a supported item".formatted(item.param("type")));
      }
    }
    if (!calls.isEmpty()) {
      throw ApiException.invalid("input", "input ends with a function_call that has no output");
    }
    return conversation;
  }
}
