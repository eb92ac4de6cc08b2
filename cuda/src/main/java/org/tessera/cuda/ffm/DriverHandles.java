package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * The method handles of the driver. Where a function has versions, the symbol is the one that the
 * headers of CUDA 12 and 13 both mean or still export.
 */
@SuppressWarnings("MemberName") // the names are cuda.h's
final class DriverHandles implements DriverApi {
  private final MethodHandle cuInit;
  private final MethodHandle cuDriverGetVersion;
  private final MethodHandle cuGetErrorName;
  private final MethodHandle cuGetErrorString;
  private final MethodHandle cuDeviceGetCount;
  private final MethodHandle cuDeviceGet;
  private final MethodHandle cuDeviceGetName;
  private final MethodHandle cuDeviceGetUuid;
  private final MethodHandle cuDeviceGetPCIBusId;
  private final MethodHandle cuDeviceTotalMem;
  private final MethodHandle cuDeviceGetAttribute;
  private final MethodHandle cuDeviceGetP2PAttribute;
  private final MethodHandle cuDevicePrimaryCtxRetain;
  private final MethodHandle cuDevicePrimaryCtxRelease;
  private final MethodHandle cuCtxSetCurrent;
  private final MethodHandle cuDeviceCanAccessPeer;
  private final MethodHandle cuCtxEnablePeerAccess;
  private final MethodHandle cuMemGetInfo;
  private final MethodHandle cuMemAlloc;
  private final MethodHandle cuMemFree;
  private final MethodHandle cuMemHostAlloc;
  private final MethodHandle cuMemFreeHost;
  private final MethodHandle cuMemcpyHtoDAsync;
  private final MethodHandle cuMemcpyDtoHAsync;
  private final MethodHandle cuMemcpyDtoDAsync;
  private final MethodHandle cuMemcpyPeerAsync;
  private final MethodHandle cuMemsetD8Async;

  DriverHandles(NativeLibrary library) {
    cuInit = library.bind("cuInit", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    cuDriverGetVersion =
        library.bind("cuDriverGetVersion", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    cuGetErrorName =
        library.bind("cuGetErrorName", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
    cuGetErrorString =
        library.bind("cuGetErrorString", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
    cuDeviceGetCount = library.bind("cuDeviceGetCount", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    cuDeviceGet = library.bind("cuDeviceGet", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    cuDeviceGetName =
        library.bind(
            "cuDeviceGetName", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    cuDeviceGetUuid =
        library.bind("cuDeviceGetUuid_v2", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    cuDeviceGetPCIBusId =
        library.bind(
            "cuDeviceGetPCIBusId", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    cuDeviceTotalMem =
        library.bind("cuDeviceTotalMem_v2", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    cuDeviceGetAttribute =
        library.bind(
            "cuDeviceGetAttribute", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    cuDeviceGetP2PAttribute =
        library.bind(
            "cuDeviceGetP2PAttribute",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT));
    cuDevicePrimaryCtxRetain =
        library.bind(
            "cuDevicePrimaryCtxRetain", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    cuDevicePrimaryCtxRelease =
        library.bind("cuDevicePrimaryCtxRelease_v2", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    cuCtxSetCurrent = library.bind("cuCtxSetCurrent", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuDeviceCanAccessPeer =
        library.bind(
            "cuDeviceCanAccessPeer", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    cuCtxEnablePeerAccess =
        library.bind("cuCtxEnablePeerAccess", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT));
    cuMemGetInfo =
        library.bind("cuMemGetInfo_v2", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    cuMemAlloc = library.bind("cuMemAlloc_v2", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    cuMemFree = library.bind("cuMemFree_v2", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuMemHostAlloc =
        library.bind(
            "cuMemHostAlloc", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    cuMemFreeHost = library.bind("cuMemFreeHost", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuMemcpyHtoDAsync =
        library.bind(
            "cuMemcpyHtoDAsync_v2",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    cuMemcpyDtoHAsync =
        library.bind(
            "cuMemcpyDtoHAsync_v2",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    cuMemcpyDtoDAsync =
        library.bind(
            "cuMemcpyDtoDAsync_v2",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    cuMemcpyPeerAsync =
        library.bind(
            "cuMemcpyPeerAsync",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    cuMemsetD8Async =
        library.bind(
            "cuMemsetD8Async",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_BYTE, JAVA_LONG, JAVA_LONG));
  }

  @Override
  public int cuInit(int flags) {
    try {
      return (int) cuInit.invokeExact(flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDriverGetVersion(MemorySegment intVersion) {
    try {
      return (int) cuDriverGetVersion.invokeExact(intVersion);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGetErrorName(int error, MemorySegment charPointer) {
    try {
      return (int) cuGetErrorName.invokeExact(error, charPointer);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGetErrorString(int error, MemorySegment charPointer) {
    try {
      return (int) cuGetErrorString.invokeExact(error, charPointer);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGetCount(MemorySegment intCount) {
    try {
      return (int) cuDeviceGetCount.invokeExact(intCount);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGet(MemorySegment intDevice, int ordinal) {
    try {
      return (int) cuDeviceGet.invokeExact(intDevice, ordinal);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGetName(MemorySegment chars, int length, int device) {
    try {
      return (int) cuDeviceGetName.invokeExact(chars, length, device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGetUuid(MemorySegment bytes16, int device) {
    try {
      return (int) cuDeviceGetUuid.invokeExact(bytes16, device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGetPCIBusId(MemorySegment chars, int length, int device) {
    try {
      return (int) cuDeviceGetPCIBusId.invokeExact(chars, length, device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceTotalMem(MemorySegment sizeBytes, int device) {
    try {
      return (int) cuDeviceTotalMem.invokeExact(sizeBytes, device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGetAttribute(MemorySegment intValue, int attribute, int device) {
    try {
      return (int) cuDeviceGetAttribute.invokeExact(intValue, attribute, device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceGetP2PAttribute(
      MemorySegment intValue, int attribute, int device, int peerDevice) {
    try {
      return (int) cuDeviceGetP2PAttribute.invokeExact(intValue, attribute, device, peerDevice);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDevicePrimaryCtxRetain(MemorySegment contextHandle, int device) {
    try {
      return (int) cuDevicePrimaryCtxRetain.invokeExact(contextHandle, device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDevicePrimaryCtxRelease(int device) {
    try {
      return (int) cuDevicePrimaryCtxRelease.invokeExact(device);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuCtxSetCurrent(long context) {
    try {
      return (int) cuCtxSetCurrent.invokeExact(context);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuDeviceCanAccessPeer(MemorySegment intCan, int device, int peerDevice) {
    try {
      return (int) cuDeviceCanAccessPeer.invokeExact(intCan, device, peerDevice);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuCtxEnablePeerAccess(long peerContext, int flags) {
    try {
      return (int) cuCtxEnablePeerAccess.invokeExact(peerContext, flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemGetInfo(MemorySegment sizeFree, MemorySegment sizeTotal) {
    try {
      return (int) cuMemGetInfo.invokeExact(sizeFree, sizeTotal);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemAlloc(MemorySegment devicePointer, long bytes) {
    try {
      return (int) cuMemAlloc.invokeExact(devicePointer, bytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemFree(long devicePointer) {
    try {
      return (int) cuMemFree.invokeExact(devicePointer);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemHostAlloc(MemorySegment hostPointer, long bytes, int flags) {
    try {
      return (int) cuMemHostAlloc.invokeExact(hostPointer, bytes, flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemFreeHost(long hostPointer) {
    try {
      return (int) cuMemFreeHost.invokeExact(hostPointer);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemcpyHtoDAsync(long destination, long hostSource, long bytes, long stream) {
    try {
      return (int) cuMemcpyHtoDAsync.invokeExact(destination, hostSource, bytes, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemcpyDtoHAsync(long hostDestination, long source, long bytes, long stream) {
    try {
      return (int) cuMemcpyDtoHAsync.invokeExact(hostDestination, source, bytes, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemcpyDtoDAsync(long destination, long source, long bytes, long stream) {
    try {
      return (int) cuMemcpyDtoDAsync.invokeExact(destination, source, bytes, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemcpyPeerAsync(
      long destination,
      long destinationContext,
      long source,
      long sourceContext,
      long bytes,
      long stream) {
    try {
      return (int)
          cuMemcpyPeerAsync.invokeExact(
              destination, destinationContext, source, sourceContext, bytes, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuMemsetD8Async(long destination, byte value, long count, long stream) {
    try {
      return (int) cuMemsetD8Async.invokeExact(destination, value, count, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }
}
