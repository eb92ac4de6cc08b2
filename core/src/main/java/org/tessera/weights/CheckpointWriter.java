package org.tessera.weights;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.Tensor;
import org.tessera.weights.WeightSource.WeightInfo;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes weights as a checkpoint has them, for measurements of how one is read. */
public final class CheckpointWriter {
  private static final String FILE = "model.safetensors";
  private static final int HEADER_ALIGNMENT = 8;

  /** What one thread writes at a time. */
  private static final long PIECE_BYTES = 64L << 20;

  private CheckpointWriter() {}

  private record Piece(MemorySegment bytes, long position) {}

  /**
   * Writes model.safetensors, on all processors. The format is that of Hugging Face's safetensors:
   * the length of the header, the header as JSON, the tensors one after the other.
   *
   * @throws CheckpointException where the file is there already or cannot be written
   */
  public static void write(WeightSource source, Path directory) {
    ObjectNode header = JsonMapper.shared().createObjectNode();
    List<Piece> pieces = new ArrayList<>();
    long offset = 0;
    for (String name : new TreeSet<>(source.names())) {
      WeightInfo info = source.info(name);
      ObjectNode entry = header.putObject(name).put("dtype", info.dtype().name());
      info.shape().dimensions().forEach(entry.withArray("shape")::add);
      entry.withArray("data_offsets").add(offset).add(offset + info.byteSize());
      Tensor tensor = source.get(name);
      for (long at = 0; at < info.byteSize(); at += PIECE_BYTES) {
        long bytes = Math.min(PIECE_BYTES, info.byteSize() - at);
        pieces.add(new Piece(tensor.memory().asSlice(at, bytes), offset + at));
      }
      offset += info.byteSize();
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    int padded = Math.ceilDiv(json.length, HEADER_ALIGNMENT) * HEADER_ALIGNMENT;
    ByteBuffer start = ByteBuffer.allocate(Long.BYTES + padded).order(ByteOrder.LITTLE_ENDIAN);
    start.putLong(padded).put(json);
    while (start.hasRemaining()) {
      start.put((byte) ' ');
    }
    long dataStart = start.capacity();
    try (FileChannel channel =
        FileChannel.open(
            directory.resolve(FILE), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      write(channel, start.flip(), 0);
      pieces.parallelStream()
          .forEach(
              piece -> writePiece(channel, piece.bytes.asByteBuffer(), dataStart + piece.position));
    } catch (IOException | UncheckedIOException e) {
      throw new CheckpointException(FILE + " cannot be written", e);
    }
  }

  private static void writePiece(FileChannel channel, ByteBuffer bytes, long position) {
    try {
      write(channel, bytes, position);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(FileChannel channel, ByteBuffer bytes, long position)
      throws IOException {
    long next = position;
    while (bytes.hasRemaining()) {
      next += channel.write(bytes, next);
    }
  }
}
