package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tessera.api.Tessera;
import tools.jackson.databind.node.ObjectNode;

/** Which path is answered by what. */
final class Routes {
  private final ServerOptions options;
  private final ServerState state;
  private final Guard guard;
  private final ServedModel model;
  private final Map<String, Handler> gets = new TreeMap<>();
  private final Map<String, Handler> posts = new TreeMap<>();
  private final WebFiles webFiles = new WebFiles();

  Routes(Tessera tessera, ServerOptions options, ServerState state, Internet internet) {
    this.options = options;
    this.state = state;
    guard = new Guard(options, state);
    ServerMetrics metrics = new ServerMetrics(tessera, options);
    model = new ServedModel(tessera, options);
    Bodies bodies = new Bodies(options.limits());
    ChatParser parser = new ChatParser(options, new PictureSource(options, metrics, internet));
    Answers answers = new Answers(state, options.limits(), metrics);
    ChatRoute chat = new ChatRoute(tessera, bodies, model, options.limits(), parser, answers);
    TokenizeRoute tokenize = new TokenizeRoute(tessera, bodies, model, parser);
    posts.put("/v1/completions", new CompletionRoute(tessera, bodies, model, options, answers));
    posts.put("/tokenize", tokenize::tokenize);
    posts.put("/detokenize", tokenize::detokenize);
    PageRoutes page = new PageRoutes(tessera, bodies, options.limits());
    gets.put("/v1/tessera/devices", page::devices);
    posts.put("/v1/tessera/slices", page::slices);
    gets.put("/health", (request, response) -> status(response, "ok"));
    gets.put("/ready", this::ready);
    gets.put("/version", this::version);
    gets.put("/metrics", metrics::scrape);
    gets.put("/v1/models", (request, response) -> Replies.json(response, model.list()));
    posts.put("/v1/chat/completions", chat);
    posts.put(
        "/v1/responses",
        new ResponsesRoute(tessera, bodies, model, options.limits(), parser, answers));
  }

  void register(HttpRouting.Builder routing) {
    routing.addFilter(guard).error(Throwable.class, Errors::send).any(this::dispatch);
  }

  private void dispatch(ServerRequest request, ServerResponse response) {
    try {
      answer(request, response);
    } catch (Throwable failure) {
      Errors.send(request, response, failure);
    }
  }

  /** Paths are compared as they come, so that no second spelling of one passes by the guard. */
  private void answer(ServerRequest request, ServerResponse response) throws Exception {
    String path = request.prologue().uriPath().rawPath();
    String method = request.prologue().method().text();
    boolean reads = method.equals("GET") || method.equals("HEAD");
    Handler handler = reads ? gets.get(path) : method.equals("POST") ? posts.get(path) : null;
    if (handler != null) {
      handler.handle(request, response);
      return;
    }
    if (gets.containsKey(path) || posts.containsKey(path)) {
      response.header(HeaderNames.ALLOW, gets.containsKey(path) ? "GET, HEAD" : "POST");
      throw new ApiException(
          405, "invalid_request_error", null, "method_not_allowed", "the path takes other methods");
    }
    if (reads && path.startsWith("/v1/models/")) {
      Replies.json(response, model.one(path.substring("/v1/models/".length())));
      return;
    }
    if (!reads || !webFiles.send(path, request, response)) {
      throw ApiException.notFound("not_found", "there is nothing at this path");
    }
  }

  private void ready(ServerRequest request, ServerResponse response) {
    state.requireOpen();
    status(response, "ready");
  }

  private static void status(ServerResponse response, String status) {
    Replies.json(response, Json.newObject().put("status", status));
  }

  private void version(ServerRequest request, ServerResponse response) {
    ObjectNode body = Json.newObject();
    body.put(
        "version",
        Optional.ofNullable(Routes.class.getPackage().getImplementationVersion())
            .orElse("development"));
    body.put("model", model.name());
    body.put("max_input_tokens", options.maxInputTokens());
    Replies.json(response, body);
  }
}
