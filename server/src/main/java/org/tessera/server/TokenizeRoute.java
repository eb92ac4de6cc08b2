package org.tessera.server;

import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.ArrayList;
import java.util.List;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Tessera;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code POST /tokenize} and {@code POST /detokenize}, as vLLM has them. */
final class TokenizeRoute {
  private static final int MAX_IDS = 1 << 20;

  private final Tessera tessera;
  private final Bodies bodies;
  private final ServedModel model;
  private final ChatParser parser;

  TokenizeRoute(Tessera tessera, Bodies bodies, ServedModel model, ChatParser parser) {
    this.tessera = tessera;
    this.bodies = bodies;
    this.model = model;
    this.parser = parser;
  }

  void tokenize(ServerRequest request, ServerResponse response) {
    List<Integer> ids;
    try (PictureMemory memory = parser.memory()) {
      ids = bodies.parse(request, body -> idsOf(body, memory));
    }
    ObjectNode body =
        Json.newObject().put("count", ids.size()).put("max_model_len", model.contextTokens());
    ArrayNode tokens = body.putArray("tokens");
    ids.forEach(tokens::add);
    Replies.json(response, body);
  }

  void detokenize(ServerRequest request, ServerResponse response) {
    List<Integer> ids =
        bodies.parse(
            request,
            body -> {
              model.check(body);
              return ids(body, "tokens");
            });
    Replies.json(response, Json.newObject().put("prompt", tessera.detokenize(ids)));
  }

  private List<Integer> idsOf(Fields body, PictureMemory memory) {
    model.check(body);
    return body.has("messages")
        ? tessera.tokenize(parser.parse(body, GenerationOptions.greedy(), memory))
        : tessera.tokenize(body.requiredString("prompt"));
  }

  /** An array of token ids. */
  static List<Integer> ids(Fields body, String name) {
    List<JsonNode> elements = body.array(name);
    if (elements.isEmpty()) {
      throw body.missing(name);
    }
    if (elements.size() > MAX_IDS) {
      throw ApiException.tooLarge(name, "%s may hold %d ids at most".formatted(name, MAX_IDS));
    }
    List<Integer> ids = new ArrayList<>();
    for (JsonNode element : elements) {
      if (!element.isIntegralNumber() || !element.canConvertToInt()) {
        throw body.wrongType(name, "an array of token ids");
      }
      ids.add(element.intValue());
    }
    return ids;
  }
}
