package org.tessera.cpu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.tessera.device.Backend;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.error.DeviceException;

/** The host's processor, one device for all its cores: {@code cpu}. */
public final class CpuBackend implements Backend {
  private static final String ID = "cpu";

  /**
   * Operations a second of products for each core and float of a vector: 430 GFLOP/s on two cores
   * with vectors of 16 (docs/performance.md).
   */
  private static final double FLOPS_PER_LANE = 430e9 / (2 * 16);

  /** Without the Vector API: several times slower than with vectors of 16, not measured. */
  private static final int PORTABLE_LANES = 4;

  private final int threads;

  /** As many threads as the process may use processors. */
  public CpuBackend() {
    this(Runtime.getRuntime().availableProcessors());
  }

  /**
   * Devices compute with {@code threads} threads, the calling one among them.
   *
   * @throws IllegalArgumentException unless {@code threads} is positive
   */
  public CpuBackend(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("%d threads".formatted(threads));
    }
    this.threads = threads;
  }

  @Override
  public String name() {
    return ID;
  }

  @Override
  public Availability probe() {
    return new Availability.Available(List.of(info()), notes());
  }

  /** {@inheritDoc} Memory is measured, the rate of products estimated from cores and vectors. */
  @Override
  public Optional<DeviceSpeed> measure(DeviceInfo info) {
    int lanes = hasVectorApi() ? kernels().lanes() : PORTABLE_LANES;
    try (Workers workers = new Workers(threads)) {
      return Optional.of(
          new DeviceSpeed(
              MemoryBandwidth.measureBriefly(workers),
              FLOPS_PER_LANE * threads * lanes,
              Link.HOST));
    }
  }

  @Override
  public Device open(DeviceInfo info) {
    if (!info.id().equals(ID)) {
      throw new DeviceException("cpu: there is no device '%s', only '%s'".formatted(info.id(), ID));
    }
    return new CpuDevice(threads, kernels());
  }

  static DeviceInfo info() {
    return new DeviceInfo(ID, processorName(), HostMemory.totalBytes(), HostMemory.freeBytes());
  }

  private static List<String> notes() {
    return hasVectorApi()
        ? List.of()
        : List.of(
            "the Vector API is off, which makes the CPU several times slower: start Java with"
                + " --add-modules jdk.incubator.vector");
  }

  /** Only here is a class named that needs the incubator module, once it is known to be there. */
  private static Kernels kernels() {
    return hasVectorApi() ? new VectorKernels() : new PortableKernels();
  }

  private static boolean hasVectorApi() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
  }

  /** As the operating system names it, or the architecture. */
  private static String processorName() {
    Path cpuInfo = Path.of("/proc/cpuinfo");
    if (Files.isReadable(cpuInfo)) {
      try (var lines = Files.lines(cpuInfo)) {
        return lines
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst()
            .orElseGet(CpuBackend::architecture);
      } catch (IOException e) {
        return architecture();
      }
    }
    return architecture();
  }

  private static String architecture() {
    return System.getProperty("os.arch", ID);
  }
}
