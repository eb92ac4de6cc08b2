package org.tessera.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.DeviceAttribute;
import org.tessera.cuda.ffm.Driver;
import org.tessera.cuda.ffm.Driver.MemoryInfo;

/**
 * The primary context of a device, and everything that was made in it: closing it closes what is
 * still open, newest first. Every operation makes the context current on the calling thread itself,
 * which costs the driver some nanoseconds, so that callers may come from any thread.
 */
public final class CudaContext implements AutoCloseable {
  private final Driver driver;
  private final int ordinal;
  private final int device;
  private final long handle;
  private final Properties properties;
  private final Map<CudaContext, Boolean> peers = new HashMap<>();
  private final Set<Resource> resources = new LinkedHashSet<>();
  private boolean closed;

  /**
   * Opens a device of an initialised driver.
   *
   * @param ordinal its number among those that CUDA_VISIBLE_DEVICES leaves
   */
  public CudaContext(Driver driver, int ordinal) {
    this.driver = driver;
    this.ordinal = ordinal;
    device = driver.device(ordinal);
    properties = Properties.of(driver, device);
    handle = driver.retainPrimaryContext(device);
  }

  /** What does not change about a device. */
  public record Properties(
      String name,
      String uuid,
      String pciBusId,
      long totalBytes,
      int multiprocessors,
      int capabilityMajor,
      int capabilityMinor,
      int l2CacheBytes,
      int maxSharedBytesPerBlock) {
    static Properties of(Driver driver, int device) {
      return new Properties(
          driver.deviceName(device),
          driver.deviceUuid(device),
          driver.devicePciBusId(device),
          driver.deviceTotalBytes(device),
          driver.deviceAttribute(DeviceAttribute.MULTIPROCESSOR_COUNT, device),
          driver.deviceAttribute(DeviceAttribute.COMPUTE_CAPABILITY_MAJOR, device),
          driver.deviceAttribute(DeviceAttribute.COMPUTE_CAPABILITY_MINOR, device),
          driver.deviceAttribute(DeviceAttribute.L2_CACHE_SIZE, device),
          driver.deviceAttribute(DeviceAttribute.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, device));
    }

    /** As NVRTC counts: 90 for compute capability 9.0. */
    public int capability() {
      return 10 * capabilityMajor + capabilityMinor;
    }
  }

  /** Something of the context that must be freed. */
  interface Resource extends AutoCloseable {
    @Override
    void close();
  }

  public Driver driver() {
    return driver;
  }

  public Properties properties() {
    return properties;
  }

  /** As users write it: {@code cuda:0}. */
  public String id() {
    return "cuda:" + ordinal;
  }

  /** Its number among those that CUDA_VISIBLE_DEVICES leaves. */
  int ordinal() {
    return ordinal;
  }

  /** Whether this and another context are of one device: they share its primary context then. */
  boolean isSameDevice(CudaContext other) {
    return device == other.device;
  }

  /**
   * Whether kernels and copies of this context can use all memory of another one, which is allowed
   * here where the devices see each other. Asked of the driver once for each pair.
   */
  synchronized boolean reaches(CudaContext peer) {
    return peers.computeIfAbsent(
        peer,
        other -> {
          if (isSameDevice(other)) {
            return true;
          }
          if (!driver.canAccessPeer(device, other.device)) {
            return false;
          }
          makeCurrent();
          return driver.enablePeerAccess(other.handle);
        });
  }

  /** Issues a copy from another device to {@code stream}, which is of this context. */
  void copyFromPeer(
      MemorySegment destination, CudaContext from, MemorySegment source, long bytes, long stream) {
    makeCurrent();
    driver.copyFromPeer(
        destination.address(), handle, source.address(), from.handle, bytes, stream);
  }

  /** Makes this context current on the calling thread. */
  public void makeCurrent() {
    driver.setCurrentContext(handle);
  }

  /** Bytes free and in all, as of now. */
  public MemoryInfo memoryInfo() {
    makeCurrent();
    return driver.memoryInfo();
  }

  public CudaStream createStream() {
    makeCurrent();
    return new CudaStream(this, driver.execution().createStream());
  }

  /**
   * @param timed whether the time between it and another event will be asked
   */
  public CudaEvent createEvent(boolean timed) {
    makeCurrent();
    return new CudaEvent(this, driver.execution().createEvent(timed));
  }

  /** Host memory that the device copies from and to without the processor's help. */
  public PinnedBuffer allocatePinned(long bytes) {
    makeCurrent();
    return new PinnedBuffer(this, driver.allocateHost(bytes), bytes);
  }

  /** A cubin's kernels. */
  public CudaModule loadModule(byte[] cubin) {
    makeCurrent();
    return new CudaModule(this, driver.execution().loadModule(cubin));
  }

  /**
   * Device memory as a segment that must not be read or written on the host: its address is the
   * device pointer. Freed by {@link #free}.
   *
   * @throws CudaException that {@linkplain CudaException#isOutOfMemory says so} where memory does
   *     not suffice
   */
  MemorySegment allocate(long bytes) {
    makeCurrent();
    try {
      return MemorySegment.ofAddress(driver.allocate(bytes)).reinterpret(bytes);
    } catch (CudaException e) {
      if (!e.isOutOfMemory()) {
        throw e;
      }
      throw new CudaException(
          "%s: %d bytes of memory are needed, %d are free"
              .formatted(id(), bytes, driver.memoryInfo().freeBytes()),
          e.call(),
          e.errorName(),
          true);
    }
  }

  void free(MemorySegment memory) {
    makeCurrent();
    driver.free(memory.address());
  }

  synchronized void register(Resource resource) {
    if (closed) {
      throw new IllegalStateException(id() + " is closed");
    }
    resources.add(resource);
  }

  /** Whether it was still registered: the caller frees it then and only then. */
  synchronized boolean unregister(Resource resource) {
    return resources.remove(resource);
  }

  @Override
  public void close() {
    List<Resource> open;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      open = new ArrayList<>(resources);
    }
    try {
      // After an error of the device every call fails; what follows must be tried nevertheless.
      RuntimeException first = null;
      for (Resource resource : open.reversed()) {
        try {
          resource.close();
        } catch (RuntimeException e) {
          first = first == null ? e : first;
        }
      }
      if (first != null) {
        throw first;
      }
    } finally {
      driver.releasePrimaryContext(device);
    }
  }
}
