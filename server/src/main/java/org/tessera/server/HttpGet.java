package org.tessera.server;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * One GET over a connection that is open already, which the platform's client cannot do: it
 * resolves names by itself. Whatever is not plain HTTP/1.1 is refused.
 */
final class HttpGet {
  private static final int MAX_LINE_BYTES = 8 << 10;
  private static final int MAX_HEADERS = 100;

  private final InputStream in;
  private final int maxBodyBytes;

  private HttpGet(InputStream in, int maxBodyBytes) {
    this.in = new BufferedInputStream(in);
    this.maxBodyBytes = maxBodyBytes;
  }

  /**
   * An answer.
   *
   * @param body empty unless the status is 200
   */
  @SuppressWarnings("ArrayRecordComponent") // bytes of a picture, handed on at once
  record Answer(int status, Optional<String> location, byte[] body) {}

  /** The answer is not one that is accepted. */
  static final class RefusedException extends IOException {
    private static final long serialVersionUID = 1L;

    RefusedException(String message) {
      super(message);
    }
  }

  static byte[] request(String host, String pathAndQuery) {
    return """
    GET %s HTTP/1.1\r
    Host: %s\r
    User-Agent: tessera\r
    Accept: image/*\r
    Accept-Encoding: identity\r
    Connection: close\r
    \r
    """
        .formatted(pathAndQuery, host)
        .getBytes(StandardCharsets.US_ASCII);
  }

  /**
   * @throws RefusedException where the answer is too large or of a form that is not accepted
   */
  static Answer read(InputStream in, int maxBodyBytes) throws IOException {
    return new HttpGet(in, maxBodyBytes).answer();
  }

  private Answer answer() throws IOException {
    String[] status = line().split(" ", 3);
    if (status.length < 2
        || !status[0].startsWith("HTTP/1.")
        || !status[1].matches("[2-5]\\d\\d")) {
      throw new RefusedException("it does not speak HTTP/1.1");
    }
    Map<String, String> headers = headers();
    int code = Integer.parseInt(status[1]);
    byte[] body = code == 200 ? body(headers) : new byte[0];
    return new Answer(code, Optional.ofNullable(headers.get("location")), body);
  }

  private Map<String, String> headers() throws IOException {
    Map<String, String> headers = new HashMap<>();
    for (int i = 0; i <= MAX_HEADERS; i++) {
      String line = line();
      if (line.isEmpty()) {
        return headers;
      }
      int colon = line.indexOf(':');
      if (colon < 1) {
        break;
      }
      headers.putIfAbsent(
          line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
    }
    throw new RefusedException("its headers are too many or malformed");
  }

  private byte[] body(Map<String, String> headers) throws IOException {
    if (!headers.getOrDefault("content-encoding", "identity").equalsIgnoreCase("identity")) {
      throw new RefusedException("it compresses what it sends");
    }
    String transfer = headers.get("transfer-encoding");
    if (transfer != null) {
      if (!transfer.equalsIgnoreCase("chunked")) {
        throw new RefusedException("it uses an unknown transfer encoding");
      }
      return chunked();
    }
    String length = headers.get("content-length");
    if (length == null) {
      return limited(in.readNBytes(maxBodyBytes + 1));
    }
    long announced = length.matches("\\d{1,18}") ? Long.parseLong(length) : Long.MAX_VALUE;
    if (announced > maxBodyBytes) {
      throw tooLarge();
    }
    return exactly((int) announced);
  }

  private byte[] chunked() throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    while (true) {
      String size = line().split(";", 2)[0].strip();
      if (!size.matches("[0-9a-fA-F]{1,8}")) {
        throw new RefusedException("it sends malformed chunks");
      }
      long bytes = Long.parseLong(size, 16);
      if (bytes == 0) {
        return body.toByteArray();
      }
      if (bytes > maxBodyBytes - body.size()) {
        throw tooLarge();
      }
      body.writeBytes(exactly((int) bytes));
      if (!line().isEmpty()) {
        throw new RefusedException("it sends malformed chunks");
      }
    }
  }

  private byte[] exactly(int bytes) throws IOException {
    byte[] read = in.readNBytes(bytes);
    if (read.length < bytes) {
      throw new RefusedException("it sends less than it announces");
    }
    return read;
  }

  private byte[] limited(byte[] body) throws RefusedException {
    if (body.length > maxBodyBytes) {
      throw tooLarge();
    }
    return body;
  }

  private RefusedException tooLarge() {
    return new RefusedException("it sends more than %d bytes".formatted(maxBodyBytes));
  }

  private String line() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0 || line.size() > MAX_LINE_BYTES) {
        throw new RefusedException("its headers are cut or too long");
      }
      line.write(b);
    }
    String text = line.toString(StandardCharsets.ISO_8859_1);
    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
  }
}
