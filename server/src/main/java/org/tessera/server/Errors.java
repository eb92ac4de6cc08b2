package org.tessera.server;

import io.helidon.common.buffers.DataReader;
import io.helidon.http.DirectHandler;
import io.helidon.http.HeaderNames;
import io.helidon.http.HttpException;
import io.helidon.http.ServerResponseHeaders;
import io.helidon.http.Status;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ServerConnectionException;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import org.tessera.error.ImageException;
import org.tessera.error.InvalidRequestException;
import org.tessera.error.OverloadedException;

/** Failures of any kind to what a client is told. */
final class Errors {
  private static final System.Logger LOGGER = System.getLogger(Errors.class.getName());

  private Errors() {}

  /** What a client is told of this failure; nothing of the inside. */
  static ApiException of(Throwable failure) {
    return switch (failure) {
      case ApiException e -> e;
      case InvalidRequestException e -> ApiException.invalid(null, message(e));
      case ImageException e ->
          new ApiException(400, "invalid_request_error", null, "invalid_image", message(e));
      case OverloadedException e -> ApiException.overloaded(message(e));
      case HttpException e -> ofStatus(e.status());
      default -> {
        // The class and the place, not the message: that may quote the request.
        LOGGER.log(Level.ERROR, () -> "a request failed: " + describe(failure));
        yield ApiException.internal();
      }
    };
  }

  /** Whether the client is gone, so that there is nobody to tell. */
  static boolean isDisconnect(Throwable failure) {
    return failure instanceof CloseConnectionException
        || failure instanceof ServerConnectionException
        || failure instanceof UncheckedIOException
        || failure instanceof DataReader.InsufficientDataAvailableException
        || failure instanceof ClientGoneException;
  }

  /**
   * Tells the client, if it is there.
   *
   * @throws CloseConnectionException where it is not: Helidon then closes the connection and logs
   *     nothing, which it does not for failures of what it calls an error handler
   */
  static void send(ServerRequest request, ServerResponse response, Throwable failure) {
    if (isDisconnect(failure) || response.isSent()) {
      throw new CloseConnectionException("the client is gone", failure);
    }
    ApiException error = of(failure);
    // A browser asks its user for the key where a page is opened, never where a script calls.
    boolean page = request.prologue().uriPath().rawPath().equals("/");
    try {
      Replies.error(response, error, page ? "Basic realm=\"tessera\"" : "Bearer");
    } catch (RuntimeException e) {
      throw isDisconnect(e) ? new CloseConnectionException("the client is gone", e) : e;
    }
  }

  /** For what goes wrong before a request reaches a route: bad headers, a body that is too long. */
  static DirectHandlers directHandlers() {
    DirectHandlers.Builder builder = DirectHandlers.builder();
    for (DirectHandler.EventType type : DirectHandler.EventType.values()) {
      builder.addHandler(type, Errors::direct);
    }
    return builder.build();
  }

  private static DirectHandler.TransportResponse direct(
      DirectHandler.TransportRequest request,
      DirectHandler.EventType type,
      Status status,
      ServerResponseHeaders headers,
      String message) {
    ApiException error = ofStatus(status);
    return DirectHandler.TransportResponse.builder()
        .status(Status.create(error.status()))
        .headers(headers)
        .header(HeaderNames.CONTENT_TYPE, "application/json")
        .header(HeaderNames.create("x-should-retry"), "false")
        .entity(Json.bytes(Json.error(error)))
        .keepAlive(false)
        .build();
  }

  /** Helidon's own refusals, whose messages may quote the request or say to look into a log. */
  private static ApiException ofStatus(Status status) {
    int code = status.code();
    if (code == 413) {
      return ApiException.tooLarge(null, "the body is too large");
    }
    if (code == 404) {
      return ApiException.notFound("not_found", "there is nothing at this path");
    }
    if (code == 503) {
      return ApiException.unavailable("the server has too many connections; try again");
    }
    if (code >= 400 && code < 500) {
      return new ApiException(
          code,
          "invalid_request_error",
          null,
          "invalid_request",
          "the request is not valid HTTP, or its headers are too large");
    }
    return ApiException.internal();
  }

  private static String message(Throwable e) {
    return String.valueOf(e.getMessage());
  }

  private static String describe(Throwable failure) {
    StringBuilder text = new StringBuilder();
    for (Throwable e = failure; e != null; e = e.getCause()) {
      text.append(e == failure ? "" : " caused by ").append(e.getClass().getName());
      StackTraceElement[] stack = e.getStackTrace();
      for (int i = 0; i < Math.min(stack.length, 8); i++) {
        text.append("\n    at ").append(stack[i]);
      }
    }
    return text.toString();
  }
}
