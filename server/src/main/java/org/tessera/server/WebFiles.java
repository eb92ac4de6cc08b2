package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

/** The web page: files of the jar, and nothing else, whatever the path says. */
final class WebFiles {
  private static final String ROOT = "/org/tessera/server/web";
  private static final Pattern PATH =
      Pattern.compile("(/[A-Za-z0-9_-]+)*/[A-Za-z0-9_-]+\\.[a-z0-9]+");
  private static final Map<String, String> TYPES =
      Map.of(
          "html", "text/html; charset=utf-8",
          "css", "text/css; charset=utf-8",
          "js", "text/javascript; charset=utf-8",
          "json", "application/json",
          "svg", "image/svg+xml",
          "png", "image/png",
          "jpg", "image/jpeg",
          "webp", "image/webp",
          "ico", "image/x-icon",
          "woff2", "font/woff2");

  /** No script, style or request but the server's own; pictures and videos are a user's choice. */
  private static final String CONTENT_SECURITY_POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
          + " media-src blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
          + " frame-ancestors 'none'";

  private final Map<String, File> files = new ConcurrentHashMap<>();

  private record File(byte[] bytes, String type, String etag) {}

  /** Returns false where there is no such file. */
  boolean send(String path, ServerRequest request, ServerResponse response) {
    Optional<File> found = find(path.equals("/") ? "/index.html" : path);
    if (found.isEmpty()) {
      return false;
    }
    File file = found.get();
    response
        .header(HeaderNames.ETAG, file.etag())
        .header(HeaderNames.CACHE_CONTROL, "no-cache")
        .header(HeaderNames.create("content-security-policy"), CONTENT_SECURITY_POLICY)
        .header(HeaderNames.create("referrer-policy"), "no-referrer");
    if (request
        .headers()
        .first(HeaderNames.IF_NONE_MATCH)
        .filter(file.etag()::equals)
        .isPresent()) {
      response.status(Status.NOT_MODIFIED_304).send();
    } else {
      response.header(HeaderNames.CONTENT_TYPE, file.type()).send(file.bytes());
    }
    return true;
  }

  private Optional<File> find(String path) {
    String type = TYPES.get(path.substring(path.lastIndexOf('.') + 1));
    if (type == null || !PATH.matcher(path).matches()) {
      return Optional.empty();
    }
    File known = files.get(path);
    if (known != null) {
      return Optional.of(known);
    }
    try (InputStream in = WebFiles.class.getResourceAsStream(ROOT + path)) {
      if (in == null) {
        return Optional.empty();
      }
      byte[] bytes = in.readAllBytes();
      File file = new File(bytes, type, etag(bytes));
      files.put(path, file);
      return Optional.of(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String etag(byte[] bytes) {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
      return '"' + HexFormat.of().formatHex(digest, 0, 16) + '"';
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
