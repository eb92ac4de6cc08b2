package org.tessera.cuda;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tessera.cuda.ffm.CublasLt;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.Driver;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.cuda.ffm.NativeLibrary;
import org.tessera.cuda.ffm.Nvrtc;
import org.tessera.error.DeviceException;

/** The libraries of the backend: all of them, or the first that is missing and what to do. */
sealed interface CudaLibraries {
  /** All that is needed, the driver initialised. */
  record Loaded(Driver driver, Nvrtc nvrtc, CublasLt blas) implements CudaLibraries {}

  /** What is missing or does not work, and the line that would change it. */
  record Missing(String reason, String remedy) implements CudaLibraries {}

  /** The oldest driver that the bindings fit. */
  int MIN_DRIVER_MAJOR = 12;

  String DRIVER_REMEDY =
      "install NVIDIA's driver 525.60 or newer, on Debian by: apt install nvidia-driver; in a"
          + " container give it the GPU, by: docker run --gpus all";

  /** Looks for all of them; what is wrong with one is an answer and no exception. */
  static CudaLibraries load(LibrarySearch search) {
    Optional<NativeLibrary> driverLibrary = search.load(Driver.SONAMES);
    if (driverLibrary.isEmpty()) {
      return new Missing(search.describe(Driver.SONAMES), DRIVER_REMEDY);
    }
    try {
      Driver driver = new Driver(driverLibrary.get());
      driver.initialize();
      int major = driver.version() / 1000;
      if (major < MIN_DRIVER_MAJOR) {
        return new Missing(
            "the driver is for CUDA %s, older than %d.0"
                .formatted(version(driver), MIN_DRIVER_MAJOR),
            DRIVER_REMEDY);
      }
      return loadToolkit(search, driver, major);
    } catch (CudaException e) {
      return failed(e);
    } catch (DeviceException e) {
      return new Missing(String.valueOf(e.getMessage()), DRIVER_REMEDY);
    }
  }

  private static CudaLibraries loadToolkit(LibrarySearch search, Driver driver, int major) {
    // cuBLASLt may look for NVRTC, which is loaded by then wherever it lies.
    Optional<NativeLibrary> nvrtc = search.load(Nvrtc.sonames(major));
    if (nvrtc.isEmpty()) {
      return missing(search, Nvrtc.sonames(major), "cuda-nvrtc", "nvidia-cuda-nvrtc", major);
    }
    Optional<NativeLibrary> blas = search.load(CublasLt.sonames(major));
    if (blas.isEmpty()) {
      return missing(search, CublasLt.sonames(major), "libcublas", "nvidia-cublas", major);
    }
    return new Loaded(driver, new Nvrtc(nvrtc.get()), new CublasLt(blas.get()));
  }

  private static Missing missing(
      LibrarySearch search, List<String> sonames, String debian, String wheel, int driverMajor) {
    boolean newest = driverMajor > MIN_DRIVER_MAJOR;
    return new Missing(
        search.describe(sonames),
        "install it by: pip install %s%s, or from NVIDIA's Debian repository by: apt install %s-%s"
            .formatted(wheel, newest ? "" : "-cu12", debian, newest ? "13-0" : "12-9"));
  }

  private static Missing failed(CudaException e) {
    if (!e.errorName().equals(Driver.NO_DEVICE)) {
      return new Missing(String.valueOf(e.getMessage()), DRIVER_REMEDY);
    }
    String visible = System.getenv("CUDA_VISIBLE_DEVICES");
    return visible == null
        ? new Missing("the driver finds no device", DRIVER_REMEDY)
        : new Missing(
            "the driver finds no device, CUDA_VISIBLE_DEVICES being '%s'".formatted(visible),
            "set CUDA_VISIBLE_DEVICES to the number of a device that nvidia-smi lists, or unset it");
  }

  /** {@code 13.0}, of the newest CUDA that the driver supports. */
  static String version(Driver driver) {
    int version = driver.version();
    return String.format(Locale.ROOT, "%d.%d", version / 1000, version % 1000 / 10);
  }
}
