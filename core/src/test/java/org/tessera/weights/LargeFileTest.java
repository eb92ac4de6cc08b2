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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.tensor.Tensor;

/** A file of 6 GB that takes a few blocks of disk, as all but a few of its elements are holes. */
class LargeFileTest {
  private static final int ROWS = 70_000;
  private static final int COLUMNS = 40_000;
  private static final long BIG_BYTES = 2L * ROWS * COLUMNS;
  private static final long MAX_HEAP_BYTES = 8 << 20;

  @TempDir Path directory;

  @Test
  void offsetsBeyondAnIntAreReadWithoutHeap() throws IOException {
    writeSparse();
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = threads.getCurrentThreadAllocatedBytes();

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

    assertThat(threads.getCurrentThreadAllocatedBytes() - allocated).isLessThan(MAX_HEAP_BYTES);
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
        "last":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}}"""
            .formatted(ROWS, COLUMNS, BIG_BYTES, BIG_BYTES, BIG_BYTES + 4);
    byte[] start = SafetensorsWriter.file(header, new byte[0]);
    ByteBuffer end =
        ByteBuffer.allocate(6)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putShort((short) 0x3f80)
            .putFloat(1.5f);
    try (FileChannel channel =
        FileChannel.open(
            directory.resolve("model.safetensors"),
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.WRITE,
            StandardOpenOption.SPARSE)) {
      channel.write(ByteBuffer.wrap(start), 0);
      channel.write(end.flip(), start.length + BIG_BYTES - 2);
    }
  }
}
