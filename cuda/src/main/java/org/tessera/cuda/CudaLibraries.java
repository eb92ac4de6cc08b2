package org.tessera.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tessera.cuda.ffm.CublasLt;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.Driver;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.cuda.ffm.NativeLibrary;
import org.tessera.cuda.ffm.Nvrtc;
import org.tessera.device.Backend.Component;
import org.tessera.error.DeviceException;

/** The libraries of the backend: all of them, or the first that is missing and what to do. */
sealed interface CudaLibraries {
  /** All that is needed, the driver initialised. */
  record Loaded(Driver driver, Nvrtc nvrtc, CublasLt blas) implements CudaLibraries {
    @Override
    public List<Component> components() {
      return List.of(component(driver), component(nvrtc), component(blas));
    }
  }

  /**
   * What is missing or does not work, and the line that would change it.
   *
   * @param components what was found nevertheless
   */
  record Missing(String reason, String remedy, List<Component> components)
      implements CudaLibraries {}

  /** What was found, for a report. */
  List<Component> components();

  /** The oldest driver that the bindings fit. */
  int MIN_DRIVER_MAJOR = 12;

  String DRIVER_REMEDY =
      "install NVIDIA's driver 525.60 or newer, on Debian by: apt install nvidia-driver; in a"
          + " container give it the GPU, by: docker run --gpus all";

  /** Looks for all of them; what is wrong with one is an answer and no exception. */
  static CudaLibraries load(LibrarySearch search) {
    Optional<NativeLibrary> driverLibrary = search.load(Driver.SONAMES);
    if (driverLibrary.isEmpty()) {
      return new Missing(search.describe(Driver.SONAMES), DRIVER_REMEDY, List.of());
    }
    List<Component> found = new ArrayList<>();
    try {
      Driver driver = new Driver(driverLibrary.get());
      found.add(component(driver));
      driver.initialize();
      int major = driver.version() / 1000;
      if (major < MIN_DRIVER_MAJOR) {
        return new Missing(
            "the driver is for CUDA %s, older than %d.0"
                .formatted(version(driver), MIN_DRIVER_MAJOR),
            DRIVER_REMEDY,
            found);
      }
      return loadToolkit(search, driver, major);
    } catch (CudaException e) {
      return failed(e, found);
    } catch (DeviceException e) {
      return new Missing(String.valueOf(e.getMessage()), DRIVER_REMEDY, found);
    }
  }

  /** Looks for both even where the first is missing, so that both are named at once. */
  private static CudaLibraries loadToolkit(LibrarySearch search, Driver driver, int major) {
    // cuBLASLt may look for NVRTC, which is loaded by then wherever it lies.
    Optional<Nvrtc> nvrtc = search.load(Nvrtc.sonames(major)).map(Nvrtc::new);
    Optional<CublasLt> blas = search.load(CublasLt.sonames(major)).map(CublasLt::new);
    if (nvrtc.isPresent() && blas.isPresent()) {
      return new Loaded(driver, nvrtc.get(), blas.get());
    }
    List<Component> found = new ArrayList<>(List.of(component(driver)));
    nvrtc.ifPresent(library -> found.add(component(library)));
    blas.ifPresent(library -> found.add(component(library)));
    boolean newest = major > MIN_DRIVER_MAJOR;
    List<String> sonames = new ArrayList<>();
    List<String> wheels = new ArrayList<>();
    List<String> debian = new ArrayList<>();
    if (nvrtc.isEmpty()) {
      sonames.addAll(Nvrtc.sonames(major));
      wheels.add("nvidia-cuda-nvrtc" + (newest ? "" : "-cu12"));
      debian.add("cuda-nvrtc-" + (newest ? "13-0" : "12-9"));
    }
    if (blas.isEmpty()) {
      sonames.addAll(CublasLt.sonames(major));
      wheels.add("nvidia-cublas" + (newest ? "" : "-cu12"));
      debian.add("libcublas-" + (newest ? "13-0" : "12-9"));
    }
    return new Missing(
        search.describe(sonames),
        "install it by: pip install %s, or from NVIDIA's Debian repository by: apt install %s"
            .formatted(String.join(" ", wheels), String.join(" ", debian)),
        found);
  }

  private static Component component(Driver driver) {
    return new Component("driver", driver.library().path(), "CUDA " + version(driver));
  }

  private static Component component(Nvrtc nvrtc) {
    return new Component("NVRTC", nvrtc.library().path(), nvrtc.version());
  }

  private static Component component(CublasLt blas) {
    return new Component("cuBLASLt", blas.library().path(), blas.version());
  }

  private static Missing failed(CudaException e, List<Component> found) {
    if (!e.errorName().equals(Driver.NO_DEVICE)) {
      return new Missing(String.valueOf(e.getMessage()), DRIVER_REMEDY, found);
    }
    String visible = System.getenv("CUDA_VISIBLE_DEVICES");
    return visible == null
        ? new Missing("the driver finds no device", DRIVER_REMEDY, found)
        : new Missing(
            "the driver finds no device, CUDA_VISIBLE_DEVICES being '%s'".formatted(visible),
            "set CUDA_VISIBLE_DEVICES to the number of a device that nvidia-smi lists, or unset it",
            found);
  }

  /** {@code 13.0}, of the newest CUDA that the driver supports. */
  static String version(Driver driver) {
    int version = driver.version();
    return String.format(Locale.ROOT, "%d.%d", version / 1000, version % 1000 / 10);
  }
}
