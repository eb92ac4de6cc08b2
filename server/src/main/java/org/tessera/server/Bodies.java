package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerRequest;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Locale;
import java.util.function.Function;

/** Reads request bodies, within limits for each and for all together. */
final class Bodies {
  /** A body, its text as a tree, and what is decoded of it. */
  private static final int MEMORY_FACTOR = 3;

  /** Bodies of so many times the limit are read, and not kept, to be refused in good order. */
  static final int DRAIN_FACTOR = 4;

  private final Json json;
  private final int maxBytes;
  private final MemoryBudget memory;

  Bodies(ServerLimits limits) {
    json = new Json(limits);
    maxBytes = limits.maxBodyBytes();
    memory = new MemoryBudget("request bodies", limits.maxBodyMemoryBytes());
  }

  /**
   * Parses the body and hands it on; its memory counts until {@code parse} returns.
   *
   * @throws ApiException where the body is too large or not a JSON object
   */
  <T> T parse(ServerRequest request, Function<Fields, T> parse) {
    // A page of another site may send text/plain without asking, but not this.
    String type = request.headers().first(HeaderNames.CONTENT_TYPE).orElse("");
    int end = type.indexOf(';');
    String essence = (end < 0 ? type : type.substring(0, end)).strip().toLowerCase(Locale.ROOT);
    if (!essence.equals("application/json")) {
      throw ApiException.invalid(null, "the body must be sent as Content-Type: application/json");
    }
    long announced = request.headers().contentLength().orElse(maxBytes);
    if (announced > maxBytes) {
      drain(request.content().inputStream());
      throw tooLarge();
    }
    try (var _ = memory.take(Math.multiplyExact(announced, MEMORY_FACTOR))) {
      byte[] body = read(request);
      ClientConnection.CURRENT.get().disarm();
      return parse.apply(Fields.of(json.object(body)));
    }
  }

  private byte[] read(ServerRequest request) {
    try (InputStream in = request.content().inputStream()) {
      byte[] body = in.readNBytes(maxBytes + 1);
      if (body.length > maxBytes) {
        drain(in);
        throw tooLarge();
      }
      return body;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Lets a body that is moderately too large come to its end: were the connection closed before,
   * its client would hear of a broken connection instead of the refusal.
   */
  private void drain(InputStream in) {
    byte[] buffer = new byte[1 << 14];
    long left = (long) (DRAIN_FACTOR - 1) * maxBytes;
    try {
      for (int read = 0; read >= 0 && left > 0; left -= read) {
        read = in.read(buffer);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ApiException tooLarge() {
    return ApiException.tooLarge(
        null, "the body is over the limit of %d bytes".formatted(maxBytes));
  }
}
