package org.tessera.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Brings weights from mapped files to a device. Two pinned buffers take turns: while the device
 * copies from one, all processors fill the other, and so read the file and convert.
 */
final class WeightUpload {
  private static final long BUFFER_BYTES = 32L << 20;

  /** What one task copies: enough to be worth a task, little enough to share among processors. */
  private static final long TASK_ELEMENTS = 1L << 19;

  private final CudaStream stream;
  private final PinnedBuffer[] buffers;
  private final CudaEvent[] copied;
  private int current;

  WeightUpload(CudaContext context, CudaStream stream) {
    this.stream = stream;
    buffers =
        new PinnedBuffer[] {
          context.allocatePinned(BUFFER_BYTES), context.allocatePinned(BUFFER_BYTES)
        };
    copied = new CudaEvent[] {context.createEvent(false), context.createEvent(false)};
  }

  /**
   * Writes the elements of {@code parts}, row after row, without gaps. When this returns the parts
   * have been read; the stream may still be copying.
   */
  void upload(List<Tensor> parts, DType type, MemorySegment destination) {
    Batch batch = new Batch(type, destination);
    for (Tensor part : parts) {
      if (part.isContiguous()) {
        batch.add(part, 0, (long) part.rows() * part.columns());
      } else {
        for (int row = 0; row < part.rows(); row++) {
          batch.add(part, row * part.rowStride(), part.columns());
        }
      }
    }
    batch.send();
  }

  /** As the other, with rows {@code stride} elements apart and zeros between them. */
  void upload(List<Tensor> parts, DType type, int stride, MemorySegment destination) {
    if (parts.stream().allMatch(part -> part.columns() == stride)) {
      upload(parts, type, destination);
      return;
    }
    Batch batch = new Batch(type, destination);
    for (Tensor part : parts) {
      for (int row = 0; row < part.rows(); row++) {
        batch.add(part, row * part.rowStride(), part.columns());
        batch.addZeros(stride - part.columns());
      }
    }
    batch.send();
  }

  /** Elements to copy into a buffer; zeros where they come from nowhere. */
  private record Task(@Nullable Tensor from, long element, long count, long bufferOffset) {}

  /** What goes into one buffer, then into the next. */
  private final class Batch {
    private final DType type;
    private final MemorySegment destination;
    private final List<Task> tasks = new ArrayList<>();
    private long usedBytes;
    private long sentBytes;

    Batch(DType type, MemorySegment destination) {
      this.type = type;
      this.destination = destination;
    }

    void addZeros(long count) {
      add(null, 0, count);
    }

    void add(@Nullable Tensor from, long element, long count) {
      long next = element;
      long end = element + count;
      while (next < end) {
        long space = (BUFFER_BYTES - usedBytes) / type.bytes();
        if (space == 0) {
          send();
          continue;
        }
        long taken = Math.min(Math.min(end - next, space), TASK_ELEMENTS);
        tasks.add(new Task(from, next, taken, usedBytes));
        usedBytes += taken * type.bytes();
        next += taken;
      }
    }

    void send() {
      if (usedBytes == 0) {
        return;
      }
      copied[current].synchronize();
      MemorySegment buffer = buffers[current].memory();
      tasks.parallelStream().forEach(task -> fill(task, buffer));
      stream.copyToDevice(buffer, destination.asSlice(sentBytes), usedBytes);
      copied[current].record(stream);
      current = 1 - current;
      sentBytes += usedBytes;
      usedBytes = 0;
      tasks.clear();
    }

    private void fill(Task task, MemorySegment buffer) {
      Tensor from = task.from;
      if (from == null) {
        buffer.asSlice(task.bufferOffset, task.count * type.bytes()).fill((byte) 0);
        return;
      }
      HostElements.convert(
          from.memory(),
          task.element * from.dtype().bytes(),
          from.dtype(),
          buffer,
          task.bufferOffset,
          type,
          task.count);
    }
  }
}
