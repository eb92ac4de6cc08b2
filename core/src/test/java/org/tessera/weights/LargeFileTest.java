package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.config.ModelConfig;
import org.tessera.config.PublishedConfig;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Files of many gigabytes that take a few blocks of disk, as nearly all of them is holes. */
class LargeFileTest {
  private static final int ROWS = 70_000;
  private static final int COLUMNS = 40_000;
  private static final long BIG_BYTES = 2L * ROWS * COLUMNS;
  private static final long MAX_HEAP_BYTES = 8 << 20;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path directory;

  @Test
  void offsetsBeyondAnIntAreReadWithoutHeap() throws IOException {
    writeSparse();
    long allocated = THREADS.getCurrentThreadAllocatedBytes();

    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      Tensor big = checkpoint.get("big");
      assertThat(big.rows()).isEqualTo(ROWS);
      assertThat(big.columns()).isEqualTo(COLUMNS);
      assertThat(big.byteSize()).isEqualTo(BIG_BYTES).isGreaterThan(2L * Integer.MAX_VALUE);
      assertThat(element(big, 0, 0)).isZero();
      assertThat(element(big, ROWS - 1, COLUMNS - 1)).isEqualTo((short) 0x3f80);
      Tensor corner = big.rows(ROWS - 1, ROWS).columns(COLUMNS - 1, COLUMNS);
      assertThat(element(corner, 0, 0)).isEqualTo((short) 0x3f80);
      assertThat(checkpoint.get("last").memory().get(JAVA_FLOAT_UNALIGNED, 0)).isEqualTo(1.5f);
      assertThat(checkpoint.totalBytes()).isEqualTo(BIG_BYTES + 4);
    }

    assertThat(THREADS.getCurrentThreadAllocatedBytes() - allocated).isLessThan(MAX_HEAP_BYTES);
  }

  /** The published model: 789 tensors of bfloat16, 16,198,350,304 bytes. */
  @Test
  void theWholeModelIsWalkedWithoutHeap() throws IOException {
    ModelConfig config = PublishedConfig.model();
    Map<String, Shape> shapes = SafetensorsCheckpointTest.architecture(config);
    writeSparse(shapes);
    HostDevice device = new HostDevice();
    long allocated = THREADS.getCurrentThreadAllocatedBytes();

    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      assertThat(checkpoint.names()).hasSize(789);
      assertThat(checkpoint.totalBytes()).isEqualTo(16_198_350_304L);
      Weights weights = Weights.root(checkpoint, device, device.allocateRegion(), DType.BF16);
      shapes.forEach((name, shape) -> weights.matrix(name, shape));
      weights.refuseUnused(name -> false);
    }

    assertThat(device.placedTypes).hasSize(789);
    assertThat(THREADS.getCurrentThreadAllocatedBytes() - allocated).isLessThan(MAX_HEAP_BYTES);
  }

  private void writeSparse(Map<String, Shape> shapes) throws IOException {
    ObjectNode header = new JsonMapper().createObjectNode();
    long end = 0;
    for (Map.Entry<String, Shape> entry : shapes.entrySet()) {
      ObjectNode tensor = header.putObject(entry.getKey()).put("dtype", "BF16");
      entry.getValue().dimensions().forEach(tensor.putArray("shape")::add);
      long begin = end;
      end += 2 * entry.getValue().elements();
      tensor.putArray("data_offsets").add(begin).add(end);
    }
    writeSparse(header.toString(), end - 1, ByteBuffer.allocate(1));
  }

  private static short element(Tensor tensor, long row, long column) {
    return tensor
        .memory()
        .getAtIndex(
            JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
            row * tensor.rowStride() + column);
  }

  private void writeSparse() throws IOException {
    String header =
        """
        {"big":{"dtype":"BF16","shape":[%d,%d],"data_offsets":[0,%d]},\
        "last":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}}\
        """
            .formatted(ROWS, COLUMNS, BIG_BYTES, BIG_BYTES, BIG_BYTES + 4);
    ByteBuffer end = ByteBuffer.allocate(6).order(ByteOrder.LITTLE_ENDIAN);
    writeSparse(header, BIG_BYTES - 2, end.putShort((short) 0x3f80).putFloat(1.5f).flip());
  }

  /** Writes the header, a hole of {@code holeBytes}, and what ends the data. */
  private void writeSparse(String header, long holeBytes, ByteBuffer end) throws IOException {
    byte[] start = SafetensorsWriter.file(header, new byte[0]);
    try (FileChannel channel =
        FileChannel.open(
            directory.resolve("model.safetensors"),
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.WRITE,
            StandardOpenOption.SPARSE)) {
      channel.write(ByteBuffer.wrap(start), 0);
      channel.write(end, start.length + holeBytes);
    }
  }
}
