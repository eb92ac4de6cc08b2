package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.List;

/**
 * The CUDA driver: devices, contexts and memory. What it executes is in {@link #execution()}. Every
 * method throws {@link CudaException} where the driver reports an error; errors of earlier
 * asynchronous work may surface in any of them. Except where said otherwise, calls act on the
 * context that is current on the calling thread.
 */
public final class Driver {
  /** The driver's library, which comes with the kernel module and not with a toolkit. */
  public static final List<String> SONAMES = List.of("libcuda.so.1");

  /** {@code CUDA_ERROR_NO_DEVICE}. */
  public static final String NO_DEVICE = "CUDA_ERROR_NO_DEVICE";

  private static final int MEMHOSTALLOC_PORTABLE = 1;
  private static final int TEXT_BYTES = 256;

  /** {@code CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED}. */
  private static final int P2P_NATIVE_ATOMICS = 3;

  private final NativeLibrary library;
  private final DriverApi api;
  private final DriverStatus status;
  private final Execution execution;

  /** Binds the functions; nothing is initialised yet. */
  public Driver(NativeLibrary library) {
    this.library = library;
    api = new DriverHandles(library);
    status = new DriverStatus(api);
    execution = new Execution(new ExecutionHandles(library), status);
  }

  /** Where it was loaded from. */
  public NativeLibrary library() {
    return library;
  }

  /** Streams, graphs, events, modules and kernels. */
  public Execution execution() {
    return execution;
  }

  /** Initialises the driver for this process; without effect the second time. */
  public void initialize() {
    status.check(api.cuInit(0), "cuInit");
  }

  /** The newest CUDA that the driver supports: 13000 for 13.0, 12040 for 12.4. */
  public int version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(JAVA_INT);
      status.check(api.cuDriverGetVersion(version), "cuDriverGetVersion");
      return version.get(JAVA_INT, 0);
    }
  }

  /** How many devices CUDA_VISIBLE_DEVICES leaves. */
  public int deviceCount() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      status.check(api.cuDeviceGetCount(count), "cuDeviceGetCount");
      return count.get(JAVA_INT, 0);
    }
  }

  /** The CUdevice of an ordinal. */
  public int device(int ordinal) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment device = arena.allocate(JAVA_INT);
      status.check(api.cuDeviceGet(device, ordinal), "cuDeviceGet");
      return device.get(JAVA_INT, 0);
    }
  }

  /** The maker's name: {@code NVIDIA H200}. */
  public String deviceName(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(TEXT_BYTES);
      status.check(api.cuDeviceGetName(name, TEXT_BYTES, device), "cuDeviceGetName");
      return name.getString(0);
    }
  }

  /** As nvidia-smi prints it: {@code GPU-} and 32 hexadecimal digits in five groups. */
  public String deviceUuid(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment uuid = arena.allocate(16);
      status.check(api.cuDeviceGetUuid(uuid, device), "cuDeviceGetUuid_v2");
      String hex = HexFormat.of().formatHex(uuid.toArray(JAVA_BYTE));
      return "GPU-%s-%s-%s-%s-%s"
          .formatted(
              hex.substring(0, 8),
              hex.substring(8, 12),
              hex.substring(12, 16),
              hex.substring(16, 20),
              hex.substring(20));
    }
  }

  /** Domain, bus and device: {@code 0000:19:00.0}. */
  public String devicePciBusId(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment id = arena.allocate(TEXT_BYTES);
      status.check(api.cuDeviceGetPCIBusId(id, TEXT_BYTES, device), "cuDeviceGetPCIBusId");
      return id.getString(0);
    }
  }

  /** Bytes of the device's memory. */
  public long deviceTotalBytes(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(JAVA_LONG);
      status.check(api.cuDeviceTotalMem(bytes, device), "cuDeviceTotalMem_v2");
      return bytes.get(JAVA_LONG, 0);
    }
  }

  /** One of the properties that are numbers. */
  public int deviceAttribute(DeviceAttribute attribute, int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      status.check(
          api.cuDeviceGetAttribute(value, attribute.code(), device), "cuDeviceGetAttribute");
      return value.get(JAVA_INT, 0);
    }
  }

  /**
   * Whether a device's atomic operations reach the memory of another: so over a link of their own,
   * not so over PCIe.
   */
  public boolean hasPeerAtomics(int device, int peerDevice) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      status.check(
          api.cuDeviceGetP2PAttribute(value, P2P_NATIVE_ATOMICS, device, peerDevice),
          "cuDeviceGetP2PAttribute");
      return value.get(JAVA_INT, 0) != 0;
    }
  }

  /** Takes a share in the device's primary context. */
  public long retainPrimaryContext(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment context = arena.allocate(ADDRESS);
      status.check(api.cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain");
      return context.get(JAVA_LONG, 0);
    }
  }

  /** Gives a share back; the last one destroys the context. */
  public void releasePrimaryContext(int device) {
    status.check(api.cuDevicePrimaryCtxRelease(device), "cuDevicePrimaryCtxRelease_v2");
  }

  /** Makes {@code context} current on the calling thread; 0 for none. */
  public void setCurrentContext(long context) {
    status.check(api.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  }

  /** Whether kernels on a device can read and write the memory of another. */
  public boolean canAccessPeer(int device, int peerDevice) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment can = arena.allocate(JAVA_INT);
      status.check(api.cuDeviceCanAccessPeer(can, device, peerDevice), "cuDeviceCanAccessPeer");
      return can.get(JAVA_INT, 0) != 0;
    }
  }

  /**
   * Lets the current context read and write all memory of another device's context, allocated
   * before or later. Without effect where that is so already: a primary context is shared by all
   * that use the device.
   *
   * @return false where the devices do not allow it, or have too many peers already
   */
  public boolean enablePeerAccess(long peerContext) {
    int result = api.cuCtxEnablePeerAccess(peerContext, 0);
    return switch (result) {
      case DriverStatus.PEER_ACCESS_UNSUPPORTED, DriverStatus.TOO_MANY_PEERS -> false;
      case DriverStatus.PEER_ACCESS_ALREADY_ENABLED -> true;
      default -> {
        status.check(result, "cuCtxEnablePeerAccess");
        yield true;
      }
    };
  }

  /** Free and total bytes of the current context's device. */
  public MemoryInfo memoryInfo() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment free = arena.allocate(JAVA_LONG);
      MemorySegment total = arena.allocate(JAVA_LONG);
      status.check(api.cuMemGetInfo(free, total), "cuMemGetInfo_v2");
      return new MemoryInfo(free.get(JAVA_LONG, 0), total.get(JAVA_LONG, 0));
    }
  }

  /** Bytes that could be taken now, and in all. */
  public record MemoryInfo(long freeBytes, long totalBytes) {}

  /** Device memory, aligned to 256 bytes at least. */
  public long allocate(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(JAVA_LONG);
      status.check(api.cuMemAlloc(pointer, bytes), "cuMemAlloc_v2");
      return pointer.get(JAVA_LONG, 0);
    }
  }

  /** Frees what {@link #allocate} returned; waits for work that uses it. */
  public void free(long pointer) {
    status.check(api.cuMemFree(pointer), "cuMemFree_v2");
  }

  /** Pinned host memory; returns its address, which devices of all contexts copy from. */
  public long allocateHost(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      status.check(api.cuMemHostAlloc(pointer, bytes, MEMHOSTALLOC_PORTABLE), "cuMemHostAlloc");
      return pointer.get(JAVA_LONG, 0);
    }
  }

  /** Frees what {@link #allocateHost} returned. */
  public void freeHost(long pointer) {
    status.check(api.cuMemFreeHost(pointer), "cuMemFreeHost");
  }

  /** Copies from host address {@code source}, which must be pinned for this not to block. */
  public void copyToDevice(long destination, long source, long bytes, long stream) {
    status.check(api.cuMemcpyHtoDAsync(destination, source, bytes, stream), "cuMemcpyHtoDAsync_v2");
  }

  /** Copies to host address {@code destination}, which must be pinned for this not to block. */
  public void copyToHost(long destination, long source, long bytes, long stream) {
    status.check(api.cuMemcpyDtoHAsync(destination, source, bytes, stream), "cuMemcpyDtoHAsync_v2");
  }

  /** Copies within the device's memory. */
  public void copyOnDevice(long destination, long source, long bytes, long stream) {
    status.check(api.cuMemcpyDtoDAsync(destination, source, bytes, stream), "cuMemcpyDtoDAsync_v2");
  }

  /**
   * Copies from a device to another, through the host where they do not see each other.
   *
   * @param stream of either context
   */
  public void copyFromPeer(
      long destination,
      long destinationContext,
      long source,
      long sourceContext,
      long bytes,
      long stream) {
    status.check(
        api.cuMemcpyPeerAsync(
            destination, destinationContext, source, sourceContext, bytes, stream),
        "cuMemcpyPeerAsync");
  }

  /** Fills device memory with one byte. */
  public void fill(long destination, byte value, long bytes, long stream) {
    status.check(api.cuMemsetD8Async(destination, value, bytes, stream), "cuMemsetD8Async");
  }
}
