package org.tessera.server;

import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * A request that is not answered, in the words that OpenAI's clients understand. The message goes
 * to the client as it is.
 */
final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What an overloaded server asks for: clients retry on their own after so many seconds. */
  private static final int RETRY_SECONDS = 1;

  private final int status;
  private final String type;
  private final @Nullable String param;
  private final @Nullable String code;

  ApiException(
      int status, String type, @Nullable String param, @Nullable String code, String message) {
    super(message, null, false, false); // no stack: it is an answer
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
  }

  /** 400 for the field {@code param}. */
  static ApiException invalid(@Nullable String param, String message) {
    return new ApiException(400, "invalid_request_error", param, "invalid_value", message);
  }

  /** 400 for a field that this server knows and does not do. */
  static ApiException unsupported(String param, String message) {
    return new ApiException(400, "invalid_request_error", param, "unsupported_value", message);
  }

  static ApiException unauthorized() {
    return new ApiException(
        401,
        "invalid_request_error",
        null,
        "invalid_api_key",
        "the API key is missing or wrong; send it as Authorization: Bearer KEY");
  }

  static ApiException forbidden(String message) {
    return new ApiException(403, "invalid_request_error", null, "forbidden", message);
  }

  static ApiException notFound(String code, String message) {
    return new ApiException(404, "invalid_request_error", null, code, message);
  }

  static ApiException tooLarge(@Nullable String param, String message) {
    return new ApiException(413, "invalid_request_error", param, "request_too_large", message);
  }

  static ApiException overloaded(String message) {
    return new ApiException(429, "rate_limit_error", null, "server_overloaded", message);
  }

  static ApiException unavailable(String message) {
    return new ApiException(503, "server_error", null, "server_unavailable", message);
  }

  /** 500, in words that say nothing about the inside. */
  static ApiException internal() {
    return new ApiException(
        500,
        "server_error",
        null,
        "internal_error",
        "the request failed on the server's side; it will fail again");
  }

  int status() {
    return status;
  }

  String type() {
    return type;
  }

  @Nullable String param() {
    return param;
  }

  @Nullable String code() {
    return code;
  }

  /** Seconds after which a client may try again; absent where it should not. */
  OptionalInt retryAfterSeconds() {
    return status == 429 || status == 503 ? OptionalInt.of(RETRY_SECONDS) : OptionalInt.empty();
  }
}
