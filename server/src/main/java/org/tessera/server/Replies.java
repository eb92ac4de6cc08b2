package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerResponse;
import java.util.OptionalInt;
import tools.jackson.databind.JsonNode;

/** What goes back, other than streams. */
final class Replies {
  private static final String JSON = "application/json";

  private Replies() {}

  static void json(ServerResponse response, JsonNode body) {
    response.header(HeaderNames.CONTENT_TYPE, JSON).send(Json.bytes(body));
  }

  static void error(ServerResponse response, ApiException e) {
    OptionalInt retryAfter = e.retryAfterSeconds();
    retryAfter.ifPresent(
        seconds -> response.header(HeaderNames.RETRY_AFTER, String.valueOf(seconds)));
    // Clients retry 5xx on their own: what fails for good must say so.
    response.header(HeaderNames.create("x-should-retry"), String.valueOf(retryAfter.isPresent()));
    if (e.status() == 401 && !response.headers().contains(HeaderNames.WWW_AUTHENTICATE)) {
      response.header(HeaderNames.WWW_AUTHENTICATE, "Bearer");
    }
    if (e.status() == 413) {
      // What is left of the body is not read: the connection cannot go on.
      response.header(HeaderValues.CONNECTION_CLOSE);
    }
    response
        .status(Status.create(e.status()))
        .header(HeaderNames.CONTENT_TYPE, JSON)
        .send(Json.bytes(Json.error(e)));
  }
}
