package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.Method;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * Stands before every route: who may ask, from which page and under which name of this server. Only
 * {@code /health} is open to everybody who reaches the port.
 */
final class Guard implements Filter {
  private static final String HEALTH = "/health";
  private static final Pattern REQUEST_ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final Pattern ADDRESS = Pattern.compile("[0-9]+(\\.[0-9]+){3}|\\[[0-9a-fA-F:.]+]");
  private static final String BEARER = "bearer ";
  private static final String BASIC = "basic ";

  private final ServerOptions options;
  private final ServerState state;

  Guard(ServerOptions options, ServerState state) {
    this.options = options;
    this.state = state;
  }

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    response.header(HeaderNames.create("x-request-id"), requestId(request));
    response.header(HeaderNames.create("x-content-type-options"), "nosniff");
    response.header(HeaderNames.CACHE_CONTROL, "no-store");
    try (var running = state.enter()) {
      if (isAllowed(request, response)) {
        chain.proceed();
      }
    } finally {
      ClientConnection.CURRENT.get().arm(options.limits().headerTimeout());
    }
    // Helidon leaves it to the client to close; one that reads to the end would wait for ever.
    if (request.headers().containsToken(HeaderValues.CONNECTION_CLOSE)
        || response.headers().containsToken(HeaderValues.CONNECTION_CLOSE)) {
      throw new CloseConnectionException("this was the connection's last request");
    }
  }

  /** Where it is not, or is a preflight, that is answered here. */
  private boolean isAllowed(RoutingRequest request, RoutingResponse response) {
    boolean health = request.prologue().uriPath().rawPath().equals(HEALTH);
    try {
      if (!health) {
        checkHost(request);
      }
      if (checkOrigin(request, response)) {
        return false;
      }
      if (!health) {
        checkKey(request);
      }
      return true;
    } catch (RuntimeException e) {
      Errors.send(request, response, e);
      return false;
    }
  }

  private static String requestId(RoutingRequest request) {
    return header(request, "x-request-id")
        .filter(id -> REQUEST_ID.matcher(id).matches())
        .orElseGet(() -> UUID.randomUUID().toString());
  }

  /**
   * A page of another site can make its own name resolve to this machine and then read what a
   * server without a key answers: such a server answers only to names that are its own.
   */
  private void checkHost(RoutingRequest request) {
    if (options.apiKey().isPresent()) {
      return;
    }
    String host = header(request, "host").orElse("").toLowerCase(Locale.ROOT);
    int colon = host.lastIndexOf(':');
    String name = colon > host.lastIndexOf(']') ? host.substring(0, colon) : host;
    if (!name.equals("localhost")
        && !ADDRESS.matcher(name).matches()
        && !options.allowedHosts().contains(name)) {
      throw ApiException.forbidden(
          "this server has no API key and answers to localhost only; allow the host or set a key");
    }
  }

  /** Returns whether this was a preflight, which is answered here. */
  private boolean checkOrigin(RoutingRequest request, RoutingResponse response) {
    Optional<String> origin = header(request, "origin");
    if (origin.isEmpty()) {
      return false;
    }
    boolean own = origin.get().equals("http://" + header(request, "host").orElse(""));
    if (!own && !options.allowedOrigins().contains(origin.get())) {
      throw ApiException.forbidden("this origin is not allowed to call this server");
    }
    response.header(HeaderNames.VARY, "Origin");
    if (!own) {
      response.header(HeaderNames.create("access-control-allow-origin"), origin.get());
    }
    boolean preflight =
        request.prologue().method().equals(Method.OPTIONS)
            && header(request, "access-control-request-method").isPresent();
    if (preflight) {
      response.header(HeaderNames.create("access-control-allow-methods"), "GET, POST");
      response.header(
          HeaderNames.create("access-control-allow-headers"),
          "authorization, content-type, x-request-id");
      response.header(HeaderNames.create("access-control-max-age"), "600");
      response.status(Status.NO_CONTENT_204).send();
    }
    return preflight;
  }

  private void checkKey(RoutingRequest request) {
    if (options.apiKey().isEmpty()) {
      return;
    }
    String shown = shownKey(header(request, "authorization").orElse(""));
    if (!options.apiKey().get().matches(shown)) {
      throw ApiException.unauthorized();
    }
  }

  /** A bearer's key, or the password that a browser asked its user for. */
  private static String shownKey(String authorization) {
    if (authorization.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
      return authorization.substring(BEARER.length()).strip();
    }
    if (!authorization.regionMatches(true, 0, BASIC, 0, BASIC.length())) {
      return "";
    }
    try {
      byte[] decoded = Base64.getDecoder().decode(authorization.substring(BASIC.length()).strip());
      String credentials = new String(decoded, StandardCharsets.UTF_8);
      return credentials.substring(credentials.indexOf(':') + 1);
    } catch (IllegalArgumentException e) {
      return "";
    }
  }

  private static Optional<String> header(RoutingRequest request, String name) {
    return request.headers().first(HeaderNames.create(name));
  }
}
