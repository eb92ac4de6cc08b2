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
    try (PictureMemory memory = parser.memory()) {
      answer(bodies.parse(request, body -> parse(body, memory)), response);
    }
  }

  private void answer(Call call, ServerResponse response) {
    ChatJson json = new ChatJson(tessera, model.name());
    if (call.stream()) {
      Streamed sink = new Streamed(json, call, response);
      try {
        answers.run(() -> tessera.stream(call.chat(), call.choices()), sink, sink::stalledNanos);
      } catch (RuntimeException e) {
        sink.fail(e);
        return;
      }
      sink.finish();
    } else {
      Collected sink = new Collected(call.choices());
      answers.run(() -> tessera.stream(call.chat(), call.choices()), sink, () -> 0);
      Replies.json(response, sink.completion(json, call));
    }
  }

  private Call parse(Fields body, PictureMemory memory) {
    model.check(body);
    if (!(ResponseFormat.of(body, limits) instanceof ResponseFormat.Text)) {
      throw ApiException.unsupported("response_format", "only text answers are supported");
    }
    if (!body.array("tools").isEmpty()) {
      throw ApiException.unsupported("tools", "tools are not supported");
    }
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
    private final List<StringBuilder> texts = new ArrayList<>();
    private final List<List<TokenLogprob>> tokens = new ArrayList<>();
    private final ChatResponse[] responses;

    Collected(int choices) {
      responses = new ChatResponse[choices];
      for (int i = 0; i < choices; i++) {
        texts.add(new StringBuilder());
        tokens.add(new ArrayList<>());
      }
    }

    @Override
    public void delta(int index, Delta delta) {
      texts.get(index).append(delta.text());
      tokens.get(index).addAll(delta.logprobs());
    }

    @Override
    public void end(int index, ChatResponse response) {
      responses[index] = response;
    }

    ObjectNode completion(ChatJson json, Call call) {
      List<ObjectNode> choices = new ArrayList<>();
      for (int i = 0; i < responses.length; i++) {
        choices.add(
            json.choice(
                i,
                texts.get(i).toString(),
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
    private @Nullable EventStream events;

    Streamed(ChatJson json, Call call, ServerResponse response) {
      this.json = json;
      this.call = call;
      this.response = response;
      this.responses = new ChatResponse[call.choices()];
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
      events()
          .data(
              json.textChunk(index, delta.text(), shown(call, delta.logprobs()), call.withUsage()));
    }

    @Override
    public void end(int index, ChatResponse ended) {
      responses[index] = ended;
      events().data(json.finishChunk(index, ended.finishReason(), call.withUsage()));
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
