package org.tessera.server;

import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.Tessera;
import org.tessera.api.TokenLogprob;
import org.tessera.api.TokenStream.Delta;
import org.tessera.tools.ToolCall;
import org.tessera.tools.ToolCallParser.Output;
import tools.jackson.databind.node.ObjectNode;

/** {@code POST /v1/chat/completions}. */
final class ChatRoute implements Handler {
  private final Tessera tessera;
  private final Bodies bodies;
  private final ServedModel model;
  private final ServerLimits limits;
  private final ChatParser parser;
  private final Answers answers;

  ChatRoute(
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

  /** A request, parsed. {@code logprobs} is whether they are shown, with however many others. */
  private record Call(
      ChatRequest chat,
      int choices,
      boolean logprobs,
      int topLogprobs,
      boolean stream,
      boolean withUsage) {}

  @Override
  public void handle(ServerRequest request, ServerResponse response) {
    tessera.requireRoom();
    try (PictureMemory memory = parser.memory()) {
      answer(bodies.parse(request, body -> parse(body, memory)), response);
    }
  }

  private void answer(Call call, ServerResponse response) {
    ChatJson json = new ChatJson(tessera, model.name());
    if (call.stream()) {
      Streamed sink = new Streamed(json, call, response);
      try {
        answers.run(
            call.chat().generation(),
            () -> tessera.stream(call.chat(), call.choices()),
            sink,
            sink::stalledNanos);
      } catch (RuntimeException e) {
        sink.fail(e);
        return;
      }
      sink.finish();
    } else {
      Collected sink = new Collected(call);
      answers.run(
          call.chat().generation(),
          () -> tessera.stream(call.chat(), call.choices()),
          sink,
          () -> 0);
      Replies.json(response, sink.completion(json, call));
    }
  }

  private Call parse(Fields body, PictureMemory memory) {
    model.check(body);
    OptionalInt maxTokens = body.integer("max_completion_tokens", 1, Integer.MAX_VALUE);
    OptionalInt maxTokensOld = body.integer("max_tokens", 1, Integer.MAX_VALUE);
    boolean logprobs = body.flag("logprobs");
    int top = Sampling.topLogprobs(body);
    if (top > 0 && !logprobs) {
      throw ApiException.invalid("top_logprobs", "top_logprobs needs logprobs to be true");
    }
    return new Call(
        parser.parse(
            body,
            Sampling.options(
                body,
                limits,
                maxTokens.isPresent() ? maxTokens : maxTokensOld,
                logprobs ? Math.max(1, top) : 0),
            memory),
        body.integer("n", 1, limits.maxChoices()).orElse(1),
        logprobs,
        top,
        body.flag("stream"),
        body.object("stream_options").filter(o -> o.flag("include_usage")).isPresent());
  }

  /** The engine reports at least one alternative; a client that asked for none gets none. */
  private static List<TokenLogprob> shown(Call call, List<TokenLogprob> tokens) {
    return call.topLogprobs() > 0
        ? tokens
        : tokens.stream()
            .map(t -> new TokenLogprob(t.tokenId(), t.text(), t.logprob(), List.of()))
            .toList();
  }

  /** Answers that go out whole. */
  private static final class Collected implements Answers.Sink {
    private final List<AnswerParts> parts = new ArrayList<>();
    private final List<List<TokenLogprob>> tokens = new ArrayList<>();
    private final ChatResponse[] responses;

    Collected(Call call) {
      responses = new ChatResponse[call.choices()];
      for (int i = 0; i < responses.length; i++) {
        parts.add(new AnswerParts(call.chat()));
        tokens.add(new ArrayList<>());
      }
    }

    @Override
    public void delta(int index, Delta delta) {
      parts.get(index).push(delta.text());
      tokens.get(index).addAll(delta.logprobs());
    }

    @Override
    public void end(int index, ChatResponse response) {
      parts.get(index).finish();
      responses[index] = response;
    }

    ObjectNode completion(ChatJson json, Call call) {
      List<ObjectNode> choices = new ArrayList<>();
      for (int i = 0; i < responses.length; i++) {
        choices.add(
            json.choice(
                i,
                parts.get(i),
                responses[i].finishReason(),
                call.logprobs(),
                shown(call, tokens.get(i))));
      }
      return json.completion(choices, ChatJson.usage(List.of(responses)));
    }
  }

  /** Answers that go out as they come. */
  private static final class Streamed implements Answers.Sink {
    private final ChatJson json;
    private final Call call;
    private final ServerResponse response;
    private final ChatResponse[] responses;
    private final List<AnswerParts> parts = new ArrayList<>();
    private final List<List<TokenLogprob>> untold = new ArrayList<>();
    private @Nullable EventStream events;

    Streamed(ChatJson json, Call call, ServerResponse response) {
      this.json = json;
      this.call = call;
      this.response = response;
      this.responses = new ChatResponse[call.choices()];
      for (int i = 0; i < responses.length; i++) {
        parts.add(new AnswerParts(call.chat()));
        untold.add(new ArrayList<>());
      }
    }

    @Override
    public void started() {
      events = new EventStream(response);
      for (int i = 0; i < call.choices(); i++) {
        ObjectNode delta = Json.newObject().put("role", "assistant").put("content", "");
        events().data(json.chunk(i, delta, call.withUsage()));
      }
    }

    @Override
    public void delta(int index, Delta delta) {
      untold.get(index).addAll(shown(call, delta.logprobs()));
      send(index, parts.get(index).push(delta.text()));
    }

    @Override
    public void end(int index, ChatResponse ended) {
      responses[index] = ended;
      send(index, parts.get(index).finish());
      if (!untold.get(index).isEmpty()) {
        send(index, List.of(new Output.Content("")));
      }
      String reason = parts.get(index).finishReason(ended.finishReason());
      events().data(json.finishChunk(index, reason, call.withUsage()));
    }

    private void send(int index, List<Output> outputs) {
      int callIndex = parts.get(index).calls().size();
      callIndex -= (int) outputs.stream().filter(Output.Call.class::isInstance).count();
      for (Output output : outputs) {
        switch (output) {
          case Output.Content(String text) -> {
            List<TokenLogprob> tokens = untold.get(index);
            events().data(json.textChunk(index, text, tokens, call.withUsage()));
            tokens.clear();
          }
          case Output.Call(ToolCall toolCall) ->
              events().data(json.callChunk(index, callIndex++, toolCall, call.withUsage()));
        }
      }
    }

    @Override
    public void silence() {
      events().ping();
    }

    void finish() {
      if (call.withUsage()) {
        events().data(json.usageChunk(List.of(responses)));
      }
      events().done();
      events().close();
    }

    /** Before the stream began this is an answer like any other; after, it is its last event. */
    void fail(RuntimeException cause) {
      if (events == null || Errors.isDisconnect(cause)) {
        throw cause;
      }
      events.data(Json.error(Errors.of(cause)));
      events.close();
    }

    long stalledNanos() {
      EventStream open = events;
      return open == null ? 0 : open.stalledNanos();
    }

    private EventStream events() {
      if (events == null) {
        throw new IllegalStateException("the stream has not begun");
      }
      return events;
    }
  }
}
