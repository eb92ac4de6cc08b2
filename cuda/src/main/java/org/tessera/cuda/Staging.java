package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;
import org.tessera.tensor.DType;

/**
 * Arrays to and from a device by way of a pinned buffer. The buffer is used like a ring: what was
 * written stays until the copy that reads it is done. Small arrays cost neither an allocation nor,
 * but once a round, a wait.
 */
final class Staging {
  private static final long RING_BYTES = 8L << 20;
  private static final long ALIGNMENT_BYTES = 256;

  private final CudaStream stream;
  private final MemorySegment ring;
  private long usedBytes;

  Staging(CudaContext context, CudaStream stream) {
    this.stream = stream;
    ring = context.allocatePinned(RING_BYTES).memory();
  }

  void upload(int[] source, long device) {
    int chunk = (int) (RING_BYTES / Integer.BYTES);
    for (int start = 0; start < source.length; start += chunk) {
      int count = Math.min(chunk, source.length - start);
      long bytes = (long) count * Integer.BYTES;
      long offset = reserve(bytes);
      MemorySegment.copy(source, start, ring, JAVA_INT, offset, count);
      stream.copyToDevice(ring.address() + offset, device + (long) start * Integer.BYTES, bytes);
    }
  }

  void upload(byte[] source, long device) {
    int chunk = (int) RING_BYTES;
    for (int start = 0; start < source.length; start += chunk) {
      int count = Math.min(chunk, source.length - start);
      long offset = reserve(count);
      MemorySegment.copy(source, start, ring, JAVA_BYTE, offset, count);
      stream.copyToDevice(ring.address() + offset, device + start, count);
    }
  }

  void upload(float[] source, long device, DType type) {
    int chunk = (int) (RING_BYTES / type.bytes());
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
    int chunk = (int) (RING_BYTES / type.bytes());
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
    int chunk = (int) (RING_BYTES / Integer.BYTES);
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
    if (usedBytes + bytes > RING_BYTES) {
      stream.synchronize();
      usedBytes = 0;
    }
    long offset = usedBytes;
    usedBytes += Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return offset;
  }
}
