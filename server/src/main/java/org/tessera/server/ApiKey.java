package org.tessera.server;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import org.tessera.error.InvalidRequestException;

/**
 * The key that requests must show. Only its digest is kept, and comparing takes the same time
 * whatever is shown, so that neither a dump nor a clock gives it away.
 */
public final class ApiKey {
  private static final int MIN_CHARS = 8;
  private static final int MAX_CHARS = 1024;

  private final byte[] digest;

  private ApiKey(byte[] digest) {
    this.digest = digest;
  }

  /**
   * @throws InvalidRequestException where the key is too short to be one, or cannot stand in a
   *     header
   */
  public static ApiKey of(String key) {
    if (key.length() < MIN_CHARS
        || key.length() > MAX_CHARS
        || key.chars().anyMatch(c -> c <= ' ' || c > '~')) {
      throw new InvalidRequestException(
          "an API key must have %d to %d visible ASCII characters and no blanks"
              .formatted(MIN_CHARS, MAX_CHARS));
    }
    return new ApiKey(sha256(key));
  }

  boolean matches(String shown) {
    return MessageDigest.isEqual(digest, sha256(shown));
  }

  @Override
  public String toString() {
    return "ApiKey[hidden]";
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
