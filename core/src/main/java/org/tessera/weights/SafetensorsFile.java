package org.tessera.weights;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.tessera.error.CheckpointException;

/**
 * One safetensors file, memory-mapped: eight bytes with the length of the header, the header, the
 * data.
 *
 * @param name for messages
 * @param data the file without its header
 */
record SafetensorsFile(String name, Map<String, StoredTensor> tensors, MemorySegment data) {
  private static final int LENGTH_BYTES = 8;

  /** The format's own limit. */
  private static final long MAX_HEADER_BYTES = 100_000_000;

  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Maps {@code path} until {@code arena} is closed.
   *
   * @throws CheckpointException where it cannot be read or breaks a rule of the format
   */
  static SafetensorsFile open(String name, Path path, Arena arena) {
    MemorySegment file = map(name, path, arena);
    if (file.byteSize() < LENGTH_BYTES) {
      throw new CheckpointException(
          "%s has %d bytes, too few for a safetensors file".formatted(name, file.byteSize()));
    }
    long headerBytes = file.get(LENGTH, 0);
    if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES) {
      throw new CheckpointException(
          "%s announces a header of %s bytes, expected 2 to %d: it may not be a safetensors file"
              .formatted(name, Long.toUnsignedString(headerBytes), MAX_HEADER_BYTES));
    }
    if (headerBytes > file.byteSize() - LENGTH_BYTES) {
      throw new CheckpointException(
          "%s announces a header of %d bytes but has only %d bytes in all: the download may be incomplete"
              .formatted(name, headerBytes, file.byteSize()));
    }
    MemorySegment header = file.asSlice(LENGTH_BYTES, headerBytes);
    if (header.get(ValueLayout.JAVA_BYTE, 0) != '{') {
      throw new CheckpointException("%s: the header does not begin with {".formatted(name));
    }
    MemorySegment data = file.asSlice(LENGTH_BYTES + headerBytes);
    return new SafetensorsFile(name, SafetensorsHeader.parse(name, header, data.byteSize()), data);
  }

  private static MemorySegment map(String name, Path path, Arena arena) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (IOException e) {
      throw new CheckpointException(
          "%s cannot be mapped (%s)".formatted(name, e.getClass().getSimpleName()), e);
    }
  }
}
