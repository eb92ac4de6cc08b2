package org.tessera.server;

import java.time.Instant;
import org.tessera.api.Tessera;
import tools.jackson.databind.node.ObjectNode;

/** The one model behind the server, under the name that clients call it by. */
final class ServedModel {
  private final String name;
  private final int contextTokens;
  private final long createdSeconds = Instant.now().getEpochSecond();

  ServedModel(Tessera tessera, ServerOptions options) {
    name = options.modelName().orElse(tessera.info().name());
    contextTokens = tessera.info().contextTokens();
  }

  String name() {
    return name;
  }

  /** Tokens of prompt and answer. */
  int contextTokens() {
    return contextTokens;
  }

  /**
   * Checks the field {@code model}, which may be left out.
   *
   * @throws ApiException 404 where another model is asked for
   */
  void check(Fields body) {
    body.string("model")
        .filter(asked -> !asked.equals(name))
        .ifPresent(asked -> {
          throw unknown();
        });
  }

  ObjectNode list() {
    ObjectNode list = Json.newObject().put("object", "list");
    list.putArray("data").add(describe());
    return list;
  }

  ObjectNode one(String asked) {
    if (!asked.equals(name)) {
      throw unknown();
    }
    return describe();
  }

  private ObjectNode describe() {
    return Json.newObject()
        .put("id", name)
        .put("object", "model")
        .put("created", createdSeconds)
        .put("owned_by", "tessera")
        .put("max_model_len", contextTokens);
  }

  private ApiException unknown() {
    return new ApiException(
        404,
        "invalid_request_error",
        "model",
        "model_not_found",
        "this server has one model, which is called " + name);
  }
}
