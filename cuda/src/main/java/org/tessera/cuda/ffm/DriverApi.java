package org.tessera.cuda.ffm;

import java.lang.foreign.MemorySegment;

/**
 * The CUDA driver in C's terms: names, order of arguments and statuses are those of cuda.h. A
 * {@code long} is an opaque handle, a device pointer or a size; a {@link MemorySegment} is host
 * memory of the type named by the parameter.
 */
@SuppressWarnings("MemberName") // the names are cuda.h's
interface DriverApi {
  int cuInit(int flags);

  int cuDriverGetVersion(MemorySegment intVersion);

  int cuGetErrorName(int error, MemorySegment charPointer);

  int cuGetErrorString(int error, MemorySegment charPointer);

  int cuDeviceGetCount(MemorySegment intCount);

  int cuDeviceGet(MemorySegment intDevice, int ordinal);

  int cuDeviceGetName(MemorySegment chars, int length, int device);

  int cuDeviceGetUuid(MemorySegment bytes16, int device);

  int cuDeviceGetPCIBusId(MemorySegment chars, int length, int device);

  int cuDeviceTotalMem(MemorySegment sizeBytes, int device);

  int cuDeviceGetAttribute(MemorySegment intValue, int attribute, int device);

  int cuDeviceGetP2PAttribute(MemorySegment intValue, int attribute, int device, int peerDevice);

  int cuDevicePrimaryCtxRetain(MemorySegment contextHandle, int device);

  int cuDevicePrimaryCtxRelease(int device);

  int cuCtxSetCurrent(long context);

  int cuDeviceCanAccessPeer(MemorySegment intCan, int device, int peerDevice);

  int cuCtxEnablePeerAccess(long peerContext, int flags);

  int cuMemGetInfo(MemorySegment sizeFree, MemorySegment sizeTotal);

  int cuMemAlloc(MemorySegment devicePointer, long bytes);

  int cuMemFree(long devicePointer);

  int cuMemHostAlloc(MemorySegment hostPointer, long bytes, int flags);

  int cuMemFreeHost(long hostPointer);

  int cuMemcpyHtoDAsync(long destination, long hostSource, long bytes, long stream);

  int cuMemcpyDtoHAsync(long hostDestination, long source, long bytes, long stream);

  int cuMemcpyDtoDAsync(long destination, long source, long bytes, long stream);

  int cuMemcpyPeerAsync(
      long destination,
      long destinationContext,
      long source,
      long sourceContext,
      long bytes,
      long stream);

  int cuMemsetD8Async(long destination, byte value, long count, long stream);
}
