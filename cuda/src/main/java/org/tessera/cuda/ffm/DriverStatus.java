package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Turns the driver's statuses into exceptions. */
final class DriverStatus {
  static final int SUCCESS = 0;
  static final int INVALID_VALUE = 1;
  static final int PEER_ACCESS_UNSUPPORTED = 217;
  static final int PEER_ACCESS_ALREADY_ENABLED = 704;
  static final int TOO_MANY_PEERS = 711;
  private static final int OUT_OF_MEMORY = 2;

  private final DriverApi api;

  DriverStatus(DriverApi api) {
    this.api = api;
  }

  void check(int status, String call) {
    if (status != SUCCESS) {
      throw failure(status, call);
    }
  }

  private CudaException failure(int status, String call) {
    return CudaException.ofStatus(call, name(status), description(status), status == OUT_OF_MEMORY);
  }

  private String name(int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(ADDRESS);
      int known = api.cuGetErrorName(status, text);
      return known == SUCCESS ? CStrings.pointedToBy(text) : "CUDA error " + status;
    }
  }

  private String description(int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(ADDRESS);
      int known = api.cuGetErrorString(status, text);
      return known == SUCCESS ? CStrings.pointedToBy(text) : "the driver does not know this status";
    }
  }
}
