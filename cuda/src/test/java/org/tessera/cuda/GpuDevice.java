package org.tessera.cuda;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.opentest4j.TestAbortedException;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Backend.Availability.Unavailable;
import org.tessera.tensor.DType;

/**
 * The first GPU of this machine, opened once for all tests of a class, which are skipped with the
 * backend's reason where there is none.
 */
final class GpuDevice implements BeforeAllCallback, AfterAllCallback {
  private final DType activationType;
  private final CudaTuning tuning;
  private @Nullable CudaDevice device;

  /** With the defaults, whatever the system's properties are. */
  GpuDevice(DType activationType) {
    this(activationType, CudaTuning.defaults());
  }

  GpuDevice(DType activationType, CudaTuning tuning) {
    this.activationType = activationType;
    this.tuning = tuning;
  }

  /** Opens the first GPU, for the caller to close. */
  static CudaDevice open(DType activationType) {
    return open(activationType, CudaTuning.defaults());
  }

  private static CudaDevice open(DType activationType, CudaTuning tuning) {
    CudaBackend backend =
        new CudaBackend(
            LibrarySearch.ofSystem(),
            KernelCache.ofUser(),
            activationType,
            device -> new CudaOps(device, tuning));
    return switch (backend.probe()) {
      case Unavailable(String reason, String remedy) ->
          throw new TestAbortedException("there is no GPU to test on: " + reason + "; " + remedy);
      case Available available -> (CudaDevice) backend.open(available.devices().getFirst());
    };
  }

  CudaDevice device() {
    return Objects.requireNonNull(device, "the device is opened before the first test");
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    device = open(activationType, tuning);
  }

  @Override
  public void afterAll(ExtensionContext context) {
    if (device != null) {
      device.close();
    }
  }
}
