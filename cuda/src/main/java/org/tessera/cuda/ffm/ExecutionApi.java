package org.tessera.cuda.ffm;

import java.lang.foreign.MemorySegment;

/**
 * What the CUDA driver executes, in C's terms like {@link DriverApi}: streams, graphs, events,
 * modules and kernels.
 */
@SuppressWarnings("MemberName") // the names are cuda.h's
interface ExecutionApi {
  int cuStreamCreate(MemorySegment streamHandle, int flags);

  int cuStreamDestroy(long stream);

  int cuStreamSynchronize(long stream);

  int cuStreamWaitEvent(long stream, long event, int flags);

  int cuStreamBeginCapture(long stream, int mode);

  int cuStreamEndCapture(long stream, MemorySegment graphHandle);

  int cuGraphInstantiateWithFlags(MemorySegment execHandle, long graph, long flags);

  int cuGraphUpload(long exec, long stream);

  int cuGraphLaunch(long exec, long stream);

  int cuGraphExecDestroy(long exec);

  int cuGraphDestroy(long graph);

  int cuEventCreate(MemorySegment eventHandle, int flags);

  int cuEventRecord(long event, long stream);

  int cuEventSynchronize(long event);

  int cuEventElapsedTime(MemorySegment floatMilliseconds, long start, long end);

  int cuEventDestroy(long event);

  int cuModuleLoadData(MemorySegment moduleHandle, MemorySegment image);

  int cuModuleUnload(long module);

  int cuModuleGetFunction(MemorySegment functionHandle, long module, MemorySegment name);

  int cuModuleGetGlobal(
      MemorySegment devicePointer, MemorySegment sizeBytes, long module, MemorySegment name);

  int cuFuncGetAttribute(MemorySegment intValue, int attribute, long function);

  int cuFuncSetAttribute(long function, int attribute, int value);

  /** Whether the driver has {@link #cuFuncGetParamInfo}, which came with CUDA 12.4. */
  boolean hasFuncGetParamInfo();

  int cuFuncGetParamInfo(
      long function, long index, MemorySegment sizeOffset, MemorySegment sizeBytes);

  int cuOccupancyMaxActiveBlocksPerMultiprocessor(
      MemorySegment intBlocks, long function, int blockThreads, long sharedBytes);

  int cuLaunchKernelEx(long config, long function, long kernelParams, long extra);
}
