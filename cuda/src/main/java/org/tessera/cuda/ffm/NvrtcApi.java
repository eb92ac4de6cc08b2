package org.tessera.cuda.ffm;

import java.lang.foreign.MemorySegment;

/** NVRTC in C's terms, as in nvrtc.h. A {@code long} is an nvrtcProgram. */
@SuppressWarnings("MemberName") // the names are nvrtc.h's
interface NvrtcApi {
  int nvrtcVersion(MemorySegment intMajor, MemorySegment intMinor);

  MemorySegment nvrtcGetErrorString(int result);

  int nvrtcGetNumSupportedArchs(MemorySegment intCount);

  int nvrtcGetSupportedArchs(MemorySegment ints);

  int nvrtcCreateProgram(
      MemorySegment programHandle,
      MemorySegment source,
      MemorySegment name,
      int headerCount,
      MemorySegment headers,
      MemorySegment includeNames);

  int nvrtcDestroyProgram(MemorySegment programHandle);

  int nvrtcCompileProgram(long program, int optionCount, MemorySegment options);

  int nvrtcGetCUBINSize(long program, MemorySegment sizeBytes);

  int nvrtcGetCUBIN(long program, MemorySegment bytes);

  int nvrtcGetProgramLogSize(long program, MemorySegment sizeBytes);

  int nvrtcGetProgramLog(long program, MemorySegment chars);
}
