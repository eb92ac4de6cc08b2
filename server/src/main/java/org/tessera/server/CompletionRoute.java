package org.tessera.server;

import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatResponse;
import org.tessera.api.CompletionRequest;
import org.tessera.api.Tessera;
import org.tessera.api.TokenStream.Delta;
import tools.jackson.databind.node.ObjectNode;

/** {@code POST /v1/completions}: what follows a text, without a conversation around it. */
final class CompletionRoute implements Handler {
  private static final int DEFAULT_MAX_TOKENS = 16;

  private final Tessera tessera;
  private final Bodies bodies;
  private final ServedModel model;
  private final ServerOptions options;
  private final Answers answers;

  CompletionRoute(
      Tessera tessera, Bodies bodies, ServedModel model, ServerOptions options, Answers answers) {
    this.tessera = tessera;
    this.bodies = bodies;
    this.model = model;
    this.options = options;
    this.answers = answers;
  }

  private record Call(CompletionRequest request, int choices, boolean stream, boolean withUsage) {}

  @Override
  public void handle(ServerRequest request, ServerResponse response) {
    tessera.requireRoom();
    Call call = bodies.parse(request, this::parse);
    Sink sink = new Sink(call, response);
    try {
      answers.run(
          call.request().generation(),
          () -> tessera.stream(call.request(), call.choices()),
          sink,
          sink::stalledNanos);
    } catch (RuntimeException e) {
      sink.fail(e);
      return;
    }
    sink.finish();
  }

  private Call parse(Fields body) {
    model.check(body);
    for (String name : List.of("echo", "suffix", "logprobs", "best_of")) {
      if (body.get(name).filter(value -> !value.isBoolean() || value.booleanValue()).isPresent()) {
        throw ApiException.unsupported(name, name + " is not supported");
      }
    }
    if (!body.has("prompt")) {
      throw body.missing("prompt");
    }
    boolean text = body.get("prompt").filter(prompt -> prompt.isString()).isPresent();
    List<Integer> ids =
        text ? tessera.tokenize(body.requiredString("prompt")) : TokenizeRoute.ids(body, "prompt");
    if (ids.isEmpty() || ids.size() > options.maxInputTokens()) {
      throw ApiException.invalid(
          "prompt",
          "the prompt has %d tokens, it must have 1 to %d"
              .formatted(ids.size(), options.maxInputTokens()));
    }
    OptionalInt maxTokens = body.integer("max_tokens", 1, Integer.MAX_VALUE);
    return new Call(
        new CompletionRequest(
            ids,
            Sampling.options(
                body,
                options.limits(),
                OptionalInt.of(maxTokens.orElse(DEFAULT_MAX_TOKENS)),
                /* logprobs= */ 0),
            body.string("cache_salt").orElse("")),
        body.integer("n", 1, options.limits().maxChoices()).orElse(1),
        body.flag("stream"),
        body.object("stream_options").filter(o -> o.flag("include_usage")).isPresent());
  }

  /** Answers that go out whole or as they come. */
  private final class Sink implements Answers.Sink {
    private final String id = "cmpl-" + UUID.randomUUID().toString().replace("-", "");
    private final long createdSeconds = Instant.now().getEpochSecond();
    private final Call call;
    private final ServerResponse response;
    private final List<StringBuilder> texts = new ArrayList<>();
    private final ChatResponse[] responses;
    private @Nullable EventStream events;

    Sink(Call call, ServerResponse response) {
      this.call = call;
      this.response = response;
      responses = new ChatResponse[call.choices()];
      for (int i = 0; i < call.choices(); i++) {
        texts.add(new StringBuilder());
      }
    }

    @Override
    public void started() {
      events = call.stream() ? new EventStream(response) : null;
    }

    @Override
    public void delta(int index, Delta delta) {
      texts.get(index).append(delta.text());
      if (events != null) {
        events.data(chunk(index, delta.text(), null));
      }
    }

    @Override
    public void end(int index, ChatResponse ended) {
      responses[index] = ended;
      if (events != null) {
        events.data(chunk(index, "", ended.finishReason().lowerCase()));
      }
    }

    @Override
    public void silence() {
      if (events != null) {
        events.ping();
      }
    }

    void finish() {
      ObjectNode usage = ChatJson.usage(List.of(responses));
      if (events == null) {
        ObjectNode body = head();
        var choices = body.putArray("choices");
        for (int i = 0; i < responses.length; i++) {
          choices.add(choice(i, texts.get(i).toString(), responses[i].finishReason().lowerCase()));
        }
        Replies.json(response, body.set("usage", usage));
        return;
      }
      if (call.withUsage()) {
        ObjectNode chunk = head();
        chunk.putArray("choices");
        events.data(chunk.set("usage", usage));
      }
      events.done();
      events.close();
    }

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

    private ObjectNode chunk(int index, String text, @Nullable String finishReason) {
      ObjectNode chunk = head();
      chunk.putArray("choices").add(choice(index, text, finishReason));
      if (call.withUsage()) {
        chunk.putNull("usage");
      }
      return chunk;
    }

    private ObjectNode choice(int index, String text, @Nullable String finishReason) {
      return Json.newObject()
          .put("index", index)
          .put("text", text)
          .putNull("logprobs")
          .put("finish_reason", finishReason);
    }

    private ObjectNode head() {
      return Json.newObject()
          .put("id", id)
          .put("object", "text_completion")
          .put("created", createdSeconds)
          .put("model", model.name());
    }
  }
}
