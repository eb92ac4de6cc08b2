package org.tessera.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/**
 * Pictures from other servers, where their hosts are allowed. A name is resolved once, every
 * address it has must be public, and the address that was checked is the one that is dialled; a
 * redirect is checked like the first URL. Over https alone.
 */
final class RemotePictures {
  private static final int MAX_REDIRECTS = 3;
  private static final int MAX_AT_A_TIME = 32;
  private static final int MAX_URL_CHARS = 4096;
  private static final int HTTPS_PORT = 443;

  private final Set<String> allowedHosts;
  private final int maxBytes;
  private final Duration timeout;
  private final Internet internet;
  private final Semaphore free = new Semaphore(MAX_AT_A_TIME);

  /**
   * @param allowedHosts names in small letters; empty for no remote pictures at all
   * @param maxBytes of one picture
   * @param timeout for one picture, redirects included
   */
  RemotePictures(Set<String> allowedHosts, int maxBytes, Duration timeout, Internet internet) {
    this.allowedHosts = Set.copyOf(allowedHosts);
    this.maxBytes = maxBytes;
    this.timeout = timeout;
    this.internet = internet;
  }

  /**
   * What is at a URL.
   *
   * @param param the field that it came in
   * @throws ApiException 400 where it is not allowed or cannot be had, 429 where too many fetch
   */
  byte[] fetch(String param, String url) {
    if (allowedHosts.isEmpty()) {
      throw ApiException.invalid(
          param,
          "only data: URLs are accepted here: send the picture itself, as data:image/png;base64,...");
    }
    if (!free.tryAcquire()) {
      throw ApiException.overloaded("too many pictures are being fetched; try again");
    }
    try {
      return follow(param, url);
    } finally {
      free.release();
    }
  }

  private byte[] follow(String param, String url) {
    long endNanos = System.nanoTime() + timeout.toNanos();
    URI uri = checked(param, url);
    for (int redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      HttpGet.Answer answer = get(param, uri, endNanos);
      switch (answer.status()) {
        case 200 -> {
          return answer.body();
        }
        case 301, 302, 303, 307, 308 -> uri = next(param, uri, answer.location().orElse(""));
        default -> throw failed(param, "the server of the picture answered " + answer.status());
      }
    }
    throw failed(param, "the picture's URL redirects more than %d times".formatted(MAX_REDIRECTS));
  }

  private URI next(String param, URI uri, String location) {
    if (location.isEmpty()) {
      throw failed(param, "the picture's URL redirects to nowhere");
    }
    try {
      return checked(param, uri.resolve(new URI(location)).toString());
    } catch (URISyntaxException e) {
      throw failed(param, "the picture's URL redirects to something that is no URL");
    }
  }

  /** One parser decides what is checked and what is dialled. */
  private URI checked(String param, String url) {
    URI uri;
    try {
      uri = new URI(new URI(url.length() > MAX_URL_CHARS ? "" : url).toASCIIString());
    } catch (URISyntaxException e) {
      throw failed(param, "the picture's URL is not valid");
    }
    String host = uri.getHost();
    boolean plain =
        "https".equalsIgnoreCase(uri.getScheme())
            && host != null
            && uri.getRawUserInfo() == null
            && (uri.getPort() == -1 || uri.getPort() == HTTPS_PORT);
    if (!plain) {
      throw failed(
          param, "a picture's URL must be data: or https: on port 443, without user or password");
    }
    if (!allowedHosts.contains(host.toLowerCase(Locale.ROOT))) {
      throw failed(param, "this server fetches no pictures from this host");
    }
    return uri;
  }

  private HttpGet.Answer get(String param, URI uri, long endNanos) {
    String host = uri.getHost().toLowerCase(Locale.ROOT);
    try {
      InetAddress address = address(param, host);
      Internet.Connection connection =
          internet.connect(address, HTTPS_PORT, host, millisLeft(endNanos));
      try (Socket raw = connection.raw()) {
        // Whatever it waits for, a handshake that drips included, closing ends it.
        Thread watch = Thread.startVirtualThread(() -> closeAt(raw, endNanos));
        try (Socket socket = connection.handshake().run()) {
          String path = uri.getRawPath().isEmpty() ? "/" : uri.getRawPath();
          String query = uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery();
          socket.getOutputStream().write(HttpGet.request(host, path + query));
          socket.getOutputStream().flush();
          return HttpGet.read(socket.getInputStream(), maxBytes);
        } finally {
          watch.interrupt();
        }
      }
    } catch (HttpGet.RefusedException e) {
      throw failed(param, "the server of the picture is not understood: " + e.getMessage());
    } catch (IOException e) {
      throw failed(
          param,
          System.nanoTime() >= endNanos
              ? "fetching the picture took longer than %d s".formatted(timeout.toSeconds())
              : "the picture could not be fetched");
    }
  }

  /** Every address must be public: a name that has both kinds is a trap. */
  private InetAddress address(String param, String host) throws IOException {
    List<InetAddress> addresses = internet.resolve(host);
    if (addresses.isEmpty() || !addresses.stream().allMatch(PublicAddresses::contains)) {
      throw failed(param, "the host of the picture is not on the public internet");
    }
    return addresses.getFirst();
  }

  private static int millisLeft(long endNanos) throws IOException {
    long millis = (endNanos - System.nanoTime()) / 1_000_000;
    if (millis <= 0) {
      throw new IOException("no time is left");
    }
    return (int) millis;
  }

  private static void closeAt(Socket socket, long endNanos) {
    try {
      Thread.sleep(Duration.ofNanos(Math.max(0, endNanos - System.nanoTime())));
      socket.close();
    } catch (InterruptedException e) {
      // It came in time.
    } catch (IOException e) {
      // It is closed all the same.
    }
  }

  private static ApiException failed(@Nullable String param, String message) {
    return ApiException.invalid(param, message);
  }
}
