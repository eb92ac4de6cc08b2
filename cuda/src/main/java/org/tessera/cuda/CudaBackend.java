package org.tessera.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tessera.cuda.CudaDevice.OpsFactory;
import org.tessera.cuda.CudaLibraries.Loaded;
import org.tessera.cuda.CudaLibraries.Missing;
import org.tessera.cuda.ffm.Driver;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.cuda.ffm.Nccl;
import org.tessera.device.Backend;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.DeviceSpeed;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;

/**
 * NVIDIA's GPUs: {@code cuda:0} and so on, in the order in which the driver counts those that
 * CUDA_VISIBLE_DEVICES leaves.
 */
public final class CudaBackend implements Backend {
  /** Ampere, the first with BF16 and asynchronous copies to shared memory. */
  private static final int MIN_CAPABILITY = 80;

  private final LibrarySearch search;
  private final KernelCache cache;
  private final DType activationType;
  private final OpsFactory opsFactory;
  private @Nullable CudaLibraries libraries;

  /** With this machine's libraries, activations in BF16 and the cache of this user. */
  public CudaBackend() {
    this(LibrarySearch.ofSystem(), KernelCache.ofUser(), DType.BF16, CudaOps::new);
  }

  /**
   * @param search where libraries are looked for
   * @param cache where compiled kernels are kept
   * @param activationType BF16 or F16
   * @param opsFactory makes the operations of an opened device
   */
  public CudaBackend(
      LibrarySearch search, KernelCache cache, DType activationType, OpsFactory opsFactory) {
    this.search = search;
    this.cache = cache;
    this.activationType = activationType;
    this.opsFactory = opsFactory;
  }

  @Override
  public String name() {
    return "cuda";
  }

  @Override
  public Availability probe() {
    return switch (libraries()) {
      case Missing(String reason, String remedy, _) -> new Availability.Unavailable(reason, remedy);
      case Loaded loaded -> devices(loaded.driver(), search);
    };
  }

  /** {@inheritDoc} NCCL is among them where it is installed; one card alone does without. */
  @Override
  public Optional<DeviceSpeed> measure(DeviceInfo info) {
    if (!(libraries() instanceof Loaded loaded)) {
      return Optional.empty();
    }
    try {
      return Optional.of(CardSpeed.measure(loaded.driver(), ordinal(loaded.driver(), info.id())));
    } catch (DeviceException _) {
      // Nothing that a probe listed is missing: the card is busy, or its memory is taken.
      return Optional.empty();
    }
  }

  @Override
  public List<Component> components() {
    List<Component> components = new ArrayList<>(libraries().components());
    if (libraries() instanceof Loaded) {
      try {
        Nccl.find(search)
            .map(nccl -> new Component("NCCL", nccl.library().path(), nccl.version()))
            .ifPresent(components::add);
      } catch (DeviceException _) {
        // Too old to be used; where it is needed the probe says so.
      }
    }
    return components;
  }

  private synchronized CudaLibraries libraries() {
    CudaLibraries found = libraries;
    if (found == null) {
      found = CudaLibraries.load(search);
      libraries = found;
    }
    return found;
  }

  private static Availability devices(Driver driver, LibrarySearch search) {
    List<DeviceInfo> devices = new ArrayList<>();
    List<String> notes = new ArrayList<>();
    try {
      int count = driver.deviceCount();
      for (int ordinal = 0; ordinal < count; ordinal++) {
        describe(driver, ordinal, devices, notes);
      }
    } catch (DeviceException e) {
      notes.add(e.getMessage());
    }
    if (devices.isEmpty()) {
      return new Availability.Unavailable(
          notes.isEmpty() ? "the driver finds no device" : String.join("; ", notes),
          "a GPU of compute capability 8.0 or newer is needed, with memory to spare");
    }
    try {
      notes.addAll(PeerReport.of(driver, search, devices));
    } catch (DeviceException e) {
      notes.add(e.getMessage());
    }
    return new Availability.Available(devices, notes);
  }

  /** Only a context knows how much memory is free: it is opened and closed again. */
  private static void describe(
      Driver driver, int ordinal, List<DeviceInfo> devices, List<String> notes) {
    try (CudaContext context = new CudaContext(driver, ordinal)) {
      CudaContext.Properties properties = context.properties();
      if (properties.capability() < MIN_CAPABILITY) {
        notes.add(
            "%s (%s) is left out: its compute capability %d.%d is below 8.0"
                .formatted(
                    context.id(),
                    properties.name(),
                    properties.capabilityMajor(),
                    properties.capabilityMinor()));
        return;
      }
      Driver.MemoryInfo memory = context.memoryInfo();
      devices.add(
          new DeviceInfo(context.id(), properties.name(), memory.totalBytes(), memory.freeBytes()));
    } catch (DeviceException e) {
      notes.add("cuda:%d is left out: %s".formatted(ordinal, e.getMessage()));
    }
  }

  @Override
  public Device open(DeviceInfo info) {
    Loaded loaded =
        switch (libraries()) {
          case Loaded all -> all;
          case Missing(String reason, String remedy, _) ->
              throw new DeviceException(
                  "%s cannot be used: %s; %s".formatted(info.id(), reason, remedy));
        };
    CudaContext context = new CudaContext(loaded.driver(), ordinal(loaded.driver(), info.id()));
    boolean done = false;
    try {
      KernelCompiler compiler =
          new KernelCompiler(
              loaded.nvrtc(), cache, context.properties().capability(), activationType);
      CudaDevice device = new CudaDevice(context, compiler, loaded.blas(), opsFactory);
      done = true;
      return device;
    } finally {
      if (!done) {
        context.close();
      }
    }
  }

  /** The number of a device by its id. */
  static int ordinal(Driver driver, String id) {
    int count = driver.deviceCount();
    for (int ordinal = 0; ordinal < count; ordinal++) {
      if (id.equals("cuda:" + ordinal)) {
        return ordinal;
      }
    }
    throw new DeviceException("cuda: there is no device '%s' among %d".formatted(id, count));
  }
}
