package org.tessera.cuda;

import java.lang.foreign.MemorySegment;

/**
 * How fast a device's memory is, by copying within it. A copy reads and writes every byte, and both
 * share the bus: what the bus carried is what reading alone would have got, within some percent.
 */
final class ReadBandwidth {
  private static final long BYTES = 256L << 20;
  private static final int COPIES = 10;

  private ReadBandwidth() {}

  /** Bytes a second, read and written. Takes half of what is free where that is little. */
  static double measure(CudaContext context, CudaStream stream) {
    long bytes = Math.min(BYTES, context.memoryInfo().freeBytes() / 4 / 256 * 256);
    try (DeviceRegion region = new DeviceRegion(context);
        CudaEvent start = context.createEvent(true);
        CudaEvent end = context.createEvent(true)) {
      MemorySegment from = region.allocate(bytes);
      MemorySegment to = region.allocate(bytes);
      stream.fill(from, (byte) 0);
      stream.copyOnDevice(from, to, bytes);
      start.record(stream);
      for (int i = 0; i < COPIES; i++) {
        stream.copyOnDevice(from, to, bytes);
      }
      end.record(stream);
      end.synchronize();
      return 2.0 * COPIES * bytes / (end.millisecondsSince(start) * 1e-3);
    }
  }
}
