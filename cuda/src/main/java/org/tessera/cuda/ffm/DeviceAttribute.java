package org.tessera.cuda.ffm;

/**
 * The properties of a device that are used here, under the names and codes of CUdevice_attribute.
 */
public enum DeviceAttribute {
  /** Highest clock of the multiprocessors, in kHz. */
  CLOCK_RATE(13),
  MULTIPROCESSOR_COUNT(16),
  L2_CACHE_SIZE(38),
  COMPUTE_CAPABILITY_MAJOR(75),
  COMPUTE_CAPABILITY_MINOR(76),
  MAX_SHARED_MEMORY_PER_BLOCK_OPTIN(97);

  private final int code;

  DeviceAttribute(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }
}
