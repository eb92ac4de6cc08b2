package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The method handles of NVRTC. */
@SuppressWarnings("MemberName") // the names are nvrtc.h's
final class NvrtcHandles implements NvrtcApi {
  private final MethodHandle nvrtcVersion;
  private final MethodHandle nvrtcGetErrorString;
  private final MethodHandle nvrtcGetNumSupportedArchs;
  private final MethodHandle nvrtcGetSupportedArchs;
  private final MethodHandle nvrtcCreateProgram;
  private final MethodHandle nvrtcDestroyProgram;
  private final MethodHandle nvrtcCompileProgram;
  private final MethodHandle nvrtcGetCUBINSize;
  private final MethodHandle nvrtcGetCUBIN;
  private final MethodHandle nvrtcGetProgramLogSize;
  private final MethodHandle nvrtcGetProgramLog;

  NvrtcHandles(NativeLibrary library) {
    nvrtcVersion = library.bind("nvrtcVersion", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    nvrtcGetErrorString =
        library.bind("nvrtcGetErrorString", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    nvrtcGetNumSupportedArchs =
        library.bind("nvrtcGetNumSupportedArchs", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    nvrtcGetSupportedArchs =
        library.bind("nvrtcGetSupportedArchs", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    nvrtcCreateProgram =
        library.bind(
            "nvrtcCreateProgram",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS));
    nvrtcDestroyProgram =
        library.bind("nvrtcDestroyProgram", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    nvrtcCompileProgram =
        library.bind(
            "nvrtcCompileProgram", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, ADDRESS));
    nvrtcGetCUBINSize =
        library.bind("nvrtcGetCUBINSize", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    nvrtcGetCUBIN =
        library.bind("nvrtcGetCUBIN", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    nvrtcGetProgramLogSize =
        library.bind("nvrtcGetProgramLogSize", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    nvrtcGetProgramLog =
        library.bind("nvrtcGetProgramLog", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
  }

  @Override
  public int nvrtcVersion(MemorySegment intMajor, MemorySegment intMinor) {
    try {
      return (int) nvrtcVersion.invokeExact(intMajor, intMinor);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public MemorySegment nvrtcGetErrorString(int result) {
    try {
      return (MemorySegment) nvrtcGetErrorString.invokeExact(result);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcGetNumSupportedArchs(MemorySegment intCount) {
    try {
      return (int) nvrtcGetNumSupportedArchs.invokeExact(intCount);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcGetSupportedArchs(MemorySegment ints) {
    try {
      return (int) nvrtcGetSupportedArchs.invokeExact(ints);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcCreateProgram(
      MemorySegment programHandle,
      MemorySegment source,
      MemorySegment name,
      int headerCount,
      MemorySegment headers,
      MemorySegment includeNames) {
    try {
      return (int)
          nvrtcCreateProgram.invokeExact(
              programHandle, source, name, headerCount, headers, includeNames);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcDestroyProgram(MemorySegment programHandle) {
    try {
      return (int) nvrtcDestroyProgram.invokeExact(programHandle);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcCompileProgram(long program, int optionCount, MemorySegment options) {
    try {
      return (int) nvrtcCompileProgram.invokeExact(program, optionCount, options);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcGetCUBINSize(long program, MemorySegment sizeBytes) {
    try {
      return (int) nvrtcGetCUBINSize.invokeExact(program, sizeBytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcGetCUBIN(long program, MemorySegment bytes) {
    try {
      return (int) nvrtcGetCUBIN.invokeExact(program, bytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcGetProgramLogSize(long program, MemorySegment sizeBytes) {
    try {
      return (int) nvrtcGetProgramLogSize.invokeExact(program, sizeBytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int nvrtcGetProgramLog(long program, MemorySegment chars) {
    try {
      return (int) nvrtcGetProgramLog.invokeExact(program, chars);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }
}
