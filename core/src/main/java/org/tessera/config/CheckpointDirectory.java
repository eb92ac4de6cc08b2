package org.tessera.config;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tessera.error.CheckpointException;

/**
 * A checkpoint directory, and the only way from a file name in it to a file.
 *
 * <p>Names are plain: no separator, no {@code ..}. A symbolic link is followed where it stays
 * inside the directory, and in the layout of the Hugging Face cache, in which {@code
 * snapshots/REVISION} is full of links into {@code blobs} two levels up; a link that leads anywhere
 * else is refused, because whoever made the archive that a checkpoint came in could point it at any
 * file. The directory itself may be reached through links.
 */
public final class CheckpointDirectory {
  private final Path directory;
  private final @Nullable Path blobs;

  private CheckpointDirectory(Path directory, @Nullable Path blobs) {
    this.directory = directory;
    this.blobs = blobs;
  }

  /**
   * @throws CheckpointException where {@code directory} is not a directory
   */
  public static CheckpointDirectory open(Path directory) {
    try {
      Path real = directory.toRealPath();
      if (!Files.isDirectory(real)) {
        throw new CheckpointException(
            "%s is not a directory; a checkpoint is a directory with config.json and safetensors files"
                .formatted(name(directory)));
      }
      return new CheckpointDirectory(real, blobsOf(real));
    } catch (IOException e) {
      throw new CheckpointException(
          "the checkpoint directory %s cannot be opened (%s)"
              .formatted(name(directory), e.getClass().getSimpleName()),
          e);
    }
  }

  private static @Nullable Path blobsOf(Path real) throws IOException {
    Path snapshots = real.getParent();
    Path repository = snapshots == null ? null : snapshots.getParent();
    if (snapshots == null || repository == null || !snapshots.endsWith("snapshots")) {
      return null;
    }
    Path blobs = repository.resolve("blobs");
    return Files.isDirectory(blobs) ? blobs.toRealPath() : null;
  }

  private static String name(Path path) {
    Path name = path.getFileName();
    return name == null ? "/" : StrictJson.printable(name.toString());
  }

  /** Whether there is an entry of this name, be it a usable file or not. */
  public boolean has(String name) {
    return Files.exists(resolve(name), LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * The regular file {@code name}, links resolved.
   *
   * @throws CheckpointException where the name is not plain, the file is missing or not a regular
   *     file, or a link leads out of the checkpoint
   */
  public Path file(String name) {
    Path path = resolve(name);
    String shown = StrictJson.printable(name);
    if (!has(name)) {
      throw new CheckpointException(
          "%s is missing from the checkpoint directory %s".formatted(shown, name(directory)));
    }
    Path real;
    try {
      real = path.toRealPath();
    } catch (IOException e) {
      throw new CheckpointException(
          "%s cannot be opened (%s): it may be a link to a file that was not downloaded"
              .formatted(shown, e.getClass().getSimpleName()),
          e);
    }
    if (!real.startsWith(directory) && (blobs == null || !real.startsWith(blobs))) {
      throw new CheckpointException(
          "%s is a symbolic link that leads out of the checkpoint directory %s; link the whole directory or copy the file"
              .formatted(shown, name(directory)));
    }
    if (!Files.isRegularFile(real)) {
      throw new CheckpointException("%s is not a regular file".formatted(shown));
    }
    return real;
  }

  private Path resolve(String name) {
    try {
      if (isPlain(name)) {
        return directory.resolve(name);
      }
    } catch (InvalidPathException e) {
      throw notPlain(name, e);
    }
    throw notPlain(name, null);
  }

  private static CheckpointException notPlain(String name, @Nullable Throwable cause) {
    return new CheckpointException(
        "\"%s\" is not a plain file name inside the checkpoint directory"
            .formatted(StrictJson.printable(name)),
        cause);
  }

  private static boolean isPlain(String name) {
    return !name.isEmpty()
        && name.length() <= 255
        && !name.equals(".")
        && !name.equals("..")
        && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ' || c == 0x7f);
  }

  /**
   * The bytes of a small file.
   *
   * @throws CheckpointException as {@link #file}, and where it holds more than {@code maxBytes}
   */
  public byte[] read(String name, int maxBytes) {
    Path file = file(name);
    byte[] content;
    try (InputStream in = Files.newInputStream(file)) {
      content = in.readNBytes(maxBytes + 1);
    } catch (IOException e) {
      throw new CheckpointException(
          "%s cannot be read (%s)".formatted(name, e.getClass().getSimpleName()), e);
    }
    if (content.length > maxBytes) {
      throw new CheckpointException(
          "%s is larger than %d bytes, the most this build reads of it".formatted(name, maxBytes));
    }
    return content;
  }

  /** As {@link #read}, empty where there is no such file. */
  public Optional<byte[]> readIfPresent(String name, int maxBytes) {
    return has(name) ? Optional.of(read(name, maxBytes)) : Optional.empty();
  }
}
