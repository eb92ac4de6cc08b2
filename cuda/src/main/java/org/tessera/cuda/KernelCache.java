package org.tessera.cuda;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Compiled kernels on disk. A file is the SHA-256 of a cubin followed by the cubin, so that one cut
 * short by a full disk is not taken for whole; its name is the SHA-256 of all that went into it.
 * Several processes may share a folder.
 */
public final class KernelCache {
  /** The system property that names the folder. */
  public static final String FOLDER_PROPERTY = "tessera.cuda.kernels";

  private static final int DIGEST_BYTES = 32;

  private final Path folder;

  /**
   * @param folder made when it is needed
   */
  public KernelCache(Path folder) {
    this.folder = folder;
  }

  /**
   * In the folder that {@value #FOLDER_PROPERTY} names, or in the user's cache as the XDG
   * specification has it.
   */
  public static KernelCache ofUser() {
    return new KernelCache(
        folder(
            System.getProperty(FOLDER_PROPERTY),
            System.getenv(),
            System.getProperty("user.home", "")));
  }

  static Path folder(@Nullable String property, Map<String, String> environment, String home) {
    if (property != null && !property.isBlank()) {
      return Path.of(property);
    }
    String cache = environment.getOrDefault("XDG_CACHE_HOME", "");
    // The specification has relative paths ignored.
    Path base =
        !cache.isEmpty() && Path.of(cache).isAbsolute() ? Path.of(cache) : Path.of(home, ".cache");
    return base.resolve("tessera").resolve("kernels");
  }

  /** The folder, which may not exist yet. */
  public Path folder() {
    return folder;
  }

  /** The name under which what {@code parts} make is kept. */
  static String key(List<String> parts) {
    MessageDigest digest = sha256();
    for (String part : parts) {
      byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
      // The length keeps "a", "bc" apart from "ab", "c".
      digest.update((bytes.length + ":").getBytes(StandardCharsets.UTF_8));
      digest.update(bytes);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** What is kept under a key; empty where nothing is or the file is damaged. */
  Optional<byte[]> find(String key) {
    try {
      byte[] file = Files.readAllBytes(file(key));
      if (file.length <= DIGEST_BYTES) {
        return Optional.empty();
      }
      byte[] cubin = Arrays.copyOfRange(file, DIGEST_BYTES, file.length);
      byte[] digest = Arrays.copyOf(file, DIGEST_BYTES);
      return MessageDigest.isEqual(digest, sha256().digest(cubin))
          ? Optional.of(cubin)
          : Optional.empty();
    } catch (IOException _) {
      return Optional.empty();
    }
  }

  /**
   * Keeps a cubin. Another process sees the whole file or none.
   *
   * @throws IOException where the folder cannot be written to
   */
  void store(String key, byte[] cubin) throws IOException {
    Files.createDirectories(folder);
    Path unfinished = Files.createTempFile(folder, key, ".part");
    try {
      try (var out = Files.newOutputStream(unfinished)) {
        out.write(sha256().digest(cubin));
        out.write(cubin);
      }
      Files.move(unfinished, file(key), StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  private Path file(String key) {
    return folder.resolve(key + ".cubin");
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
