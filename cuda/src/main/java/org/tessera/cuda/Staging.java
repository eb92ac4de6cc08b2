package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tessera.tensor.DType;

/**
 * Arrays to and from a device by way of a pinned buffer. The buffer is used like a ring of parts:
 * what was written stays until the copies that read it are done, for which an event stands at the
 * end of each part. So uploads cost no allocation, and wait only where the device is a whole round
 * behind, whatever else it still has to do.
 */
final class Staging {
  private static final int PARTS = 4;
  private static final int PART_BYTES = 8 << 20;

  /** Of several arrays what crosses at a time: the processor copies the next while it does. */
  private static final int GROUP_BYTES = 2 << 20;

  private static final long ALIGNMENT_BYTES = 256;

  private final CudaStream stream;
  private final MemorySegment ring;
  private final List<CudaEvent> passed;
  private int part;
  private long usedBytes;

  Staging(CudaContext context, CudaStream stream) {
    this.stream = stream;
    ring = context.allocatePinned((long) PARTS * PART_BYTES).memory();
    passed = Stream.generate(() -> context.createEvent(/* timed= */ false)).limit(PARTS).toList();
  }

  void upload(int[] source, long device) {
    int chunk = PART_BYTES / Integer.BYTES;
    for (int start = 0; start < source.length; start += chunk) {
      int count = Math.min(chunk, source.length - start);
      long bytes = (long) count * Integer.BYTES;
      long offset = reserve(bytes);
      MemorySegment.copy(source, start, ring, JAVA_INT, offset, count);
      stream.copyToDevice(ring.address() + offset, device + (long) start * Integer.BYTES, bytes);
    }
  }

  /**
   * Uploads arrays to one piece of device memory, which is written up to the last one's end.
   *
   * @param places where each array begins, in bytes, ascending, none in another's
   */
  void upload(List<byte[]> sources, long[] places, long device) {
    int from = 0;
    while (from < sources.size()) {
      int to = from + 1;
      while (to < sources.size()
          && places[to] + sources.get(to).length - places[from] <= GROUP_BYTES) {
        to++;
      }
      if (to == from + 1) {
        upload(sources.get(from), device + places[from]);
      } else {
        uploadGroup(sources, places, from, to, device);
      }
      from = to;
    }
  }

  private void uploadGroup(List<byte[]> sources, long[] places, int from, int to, long device) {
    long bytes = places[to - 1] + sources.get(to - 1).length - places[from];
    long offset = reserve(bytes);
    // One core copies slower than the device.
    IntStream.range(from, to)
        .parallel()
        .forEach(i -> {
          byte[] source = sources.get(i);
          long at = offset + places[i] - places[from];
          MemorySegment.copy(source, 0, ring, JAVA_BYTE, at, source.length);
        });
    stream.copyToDevice(ring.address() + offset, device + places[from], bytes);
  }

  private void upload(byte[] source, long device) {
    for (int start = 0; start < source.length; start += PART_BYTES) {
      int count = Math.min(PART_BYTES, source.length - start);
      long offset = reserve(count);
      MemorySegment.copy(source, start, ring, JAVA_BYTE, offset, count);
      stream.copyToDevice(ring.address() + offset, device + start, count);
    }
  }

  void upload(float[] source, long device, DType type) {
    int chunk = PART_BYTES / type.bytes();
    for (int start = 0; start < source.length; start += chunk) {
      int count = Math.min(chunk, source.length - start);
      long bytes = (long) count * type.bytes();
      long offset = reserve(bytes);
      HostElements.write(source, start, ring, offset, type, count);
      stream.copyToDevice(ring.address() + offset, device + (long) start * type.bytes(), bytes);
    }
  }

  /** Waits for what was issued before. */
  void download(long device, DType type, float[] destination) {
    int chunk = PART_BYTES / type.bytes();
    for (int start = 0; start < destination.length; start += chunk) {
      int count = Math.min(chunk, destination.length - start);
      long bytes = (long) count * type.bytes();
      long offset = reserve(bytes);
      stream.copyToHost(device + (long) start * type.bytes(), ring.address() + offset, bytes);
      stream.synchronize();
      HostElements.read(ring, offset, type, destination, start, count);
    }
  }

  /** Waits for what was issued before. */
  void download(long device, int[] destination) {
    int chunk = PART_BYTES / Integer.BYTES;
    for (int start = 0; start < destination.length; start += chunk) {
      int count = Math.min(chunk, destination.length - start);
      long bytes = (long) count * Integer.BYTES;
      long offset = reserve(bytes);
      stream.copyToHost(device + (long) start * Integer.BYTES, ring.address() + offset, bytes);
      stream.synchronize();
      MemorySegment.copy(ring, JAVA_INT, offset, destination, start, count);
    }
  }

  /** The offset of space that no copy is using. */
  private long reserve(long bytes) {
    if (usedBytes + bytes > PART_BYTES) {
      passed.get(part).record(stream);
      part = (part + 1) % PARTS;
      passed.get(part).synchronize();
      usedBytes = 0;
    }
    long offset = (long) part * PART_BYTES + usedBytes;
    usedBytes += Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return offset;
  }
}
