package org.tessera.server;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tessera.error.InvalidRequestException;

/**
 * How a server listens and whom it answers. The defaults answer this machine alone.
 *
 * @param host address to listen at
 * @param port 0 for any that is free
 * @param apiKey asked of every request but {@code /health}; without one only the loopback address
 *     can be listened at
 * @param modelName what the model is called; absent for its directory's name
 * @param allowedOrigins web pages that may call, such as {@code https://app.example}
 * @param allowedHosts names by which clients reach a server without a key, beside {@code localhost}
 *     and addresses
 * @param allowedImageHosts names of hosts from which pictures are fetched over https; none fetches
 *     none
 * @param allowVideoFiles whether MP4 and the like are handed to an ffmpeg process
 * @param vllmMetrics whether metrics appear under vLLM's names too
 * @param maxInputTokens longer prompts are refused
 */
public record ServerOptions(
    String host,
    int port,
    Optional<ApiKey> apiKey,
    Optional<String> modelName,
    Set<String> allowedOrigins,
    Set<String> allowedHosts,
    Set<String> allowedImageHosts,
    boolean allowVideoFiles,
    boolean vllmMetrics,
    int maxInputTokens,
    ServerLimits limits) {
  private static final int DEFAULT_PORT = 8000;
  private static final int DEFAULT_MAX_INPUT_TOKENS = 8192;

  public ServerOptions {
    allowedOrigins = Set.copyOf(allowedOrigins);
    allowedHosts = Set.copyOf(allowedHosts);
    allowedImageHosts =
        allowedImageHosts.stream()
            .map(name -> name.toLowerCase(Locale.ROOT))
            .collect(Collectors.toUnmodifiableSet());
    if (port < 0 || port > 65_535) {
      throw new InvalidRequestException("the port must be from 0 to 65535, not " + port);
    }
    if (apiKey.isEmpty() && !isLoopback(host)) {
      throw new InvalidRequestException(
          "listening at %s lets other machines in: give an API key, or listen at 127.0.0.1"
              .formatted(host));
    }
  }

  public static ServerOptions defaults() {
    return new ServerOptions(
        "127.0.0.1",
        DEFAULT_PORT,
        Optional.empty(),
        Optional.empty(),
        Set.of(),
        Set.of(),
        Set.of(),
        false,
        false,
        DEFAULT_MAX_INPUT_TOKENS,
        ServerLimits.defaults());
  }

  private static boolean isLoopback(String host) {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      throw new InvalidRequestException("there is no address to listen at by the name " + host, e);
    }
  }
}
