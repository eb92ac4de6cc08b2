package org.tessera.cuda.ffm;

import org.tessera.error.DeviceException;

/** A call of a CUDA library that did not succeed. */
public final class CudaException extends DeviceException {
  private static final long serialVersionUID = 1L;

  private final String call;
  private final String errorName;
  private final boolean outOfMemory;

  /**
   * @param message one sentence for the user
   * @param call the C function that failed
   * @param errorName its status as CUDA names it, such as CUDA_ERROR_OUT_OF_MEMORY
   */
  public CudaException(String message, String call, String errorName, boolean outOfMemory) {
    super(message);
    this.call = call;
    this.errorName = errorName;
    this.outOfMemory = outOfMemory;
  }

  static CudaException ofStatus(
      String call, String errorName, String description, boolean outOfMemory) {
    return new CudaException(
        "%s failed with %s: %s".formatted(call, errorName, description),
        call,
        errorName,
        outOfMemory);
  }

  /** The C function that failed: {@code cuMemAlloc_v2}. */
  public String call() {
    return call;
  }

  /** The status as CUDA names it: {@code CUDA_ERROR_OUT_OF_MEMORY}. */
  public String errorName() {
    return errorName;
  }

  /** {@inheritDoc} On the device or for pinned memory on the host. */
  @Override
  public boolean isOutOfMemory() {
    return outOfMemory;
  }
}
