package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/** The method handles of what the driver executes; symbols as in {@link DriverHandles}. */
@SuppressWarnings("MemberName") // the names are cuda.h's
final class ExecutionHandles implements ExecutionApi {
  private final MethodHandle cuStreamCreate;
  private final MethodHandle cuStreamDestroy;
  private final MethodHandle cuStreamSynchronize;
  private final MethodHandle cuStreamWaitEvent;
  private final MethodHandle cuStreamBeginCapture;
  private final MethodHandle cuStreamEndCapture;
  private final MethodHandle cuGraphInstantiateWithFlags;
  private final MethodHandle cuGraphUpload;
  private final MethodHandle cuGraphLaunch;
  private final MethodHandle cuGraphExecDestroy;
  private final MethodHandle cuGraphDestroy;
  private final MethodHandle cuEventCreate;
  private final MethodHandle cuEventRecord;
  private final MethodHandle cuEventSynchronize;
  private final MethodHandle cuEventElapsedTime;
  private final MethodHandle cuEventDestroy;
  private final MethodHandle cuModuleLoadData;
  private final MethodHandle cuModuleUnload;
  private final MethodHandle cuModuleGetFunction;
  private final MethodHandle cuModuleGetGlobal;
  private final MethodHandle cuFuncGetAttribute;
  private final MethodHandle cuFuncSetAttribute;
  private final @Nullable MethodHandle cuFuncGetParamInfo;
  private final MethodHandle cuOccupancyMaxActiveBlocksPerMultiprocessor;
  private final MethodHandle cuLaunchKernelEx;

  ExecutionHandles(NativeLibrary library) {
    cuStreamCreate =
        library.bind("cuStreamCreate", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    cuStreamDestroy =
        library.bind("cuStreamDestroy_v2", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuStreamSynchronize =
        library.bind("cuStreamSynchronize", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuStreamWaitEvent =
        library.bind(
            "cuStreamWaitEvent", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    cuStreamBeginCapture =
        library.bind(
            "cuStreamBeginCapture_v2", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT));
    cuStreamEndCapture =
        library.bind("cuStreamEndCapture", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    cuGraphInstantiateWithFlags =
        library.bind(
            "cuGraphInstantiateWithFlags",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    cuGraphUpload =
        library.bind("cuGraphUpload", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    cuGraphLaunch =
        library.bind("cuGraphLaunch", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    cuGraphExecDestroy =
        library.bind("cuGraphExecDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuGraphDestroy = library.bind("cuGraphDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuEventCreate =
        library.bind("cuEventCreate", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    cuEventRecord =
        library.bind("cuEventRecord", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    cuEventSynchronize =
        library.bind("cuEventSynchronize", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuEventElapsedTime =
        library.bind(
            "cuEventElapsedTime", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    cuEventDestroy = library.bind("cuEventDestroy_v2", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuModuleLoadData =
        library.bind("cuModuleLoadData", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    cuModuleUnload = library.bind("cuModuleUnload", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cuModuleGetFunction =
        library.bind(
            "cuModuleGetFunction", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS));
    cuModuleGetGlobal =
        library.bind(
            "cuModuleGetGlobal_v2",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS));
    cuFuncGetAttribute =
        library.bind(
            "cuFuncGetAttribute", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG));
    cuFuncSetAttribute =
        library.bind(
            "cuFuncSetAttribute", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT));
    cuFuncGetParamInfo =
        library
            .find(
                "cuFuncGetParamInfo",
                FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS))
            .orElse(null);
    cuOccupancyMaxActiveBlocksPerMultiprocessor =
        library.bind(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_LONG));
    cuLaunchKernelEx =
        library.bind(
            "cuLaunchKernelEx",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG));
  }

  @Override
  public int cuStreamCreate(MemorySegment streamHandle, int flags) {
    try {
      return (int) cuStreamCreate.invokeExact(streamHandle, flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuStreamDestroy(long stream) {
    try {
      return (int) cuStreamDestroy.invokeExact(stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuStreamSynchronize(long stream) {
    try {
      return (int) cuStreamSynchronize.invokeExact(stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuStreamWaitEvent(long stream, long event, int flags) {
    try {
      return (int) cuStreamWaitEvent.invokeExact(stream, event, flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuStreamBeginCapture(long stream, int mode) {
    try {
      return (int) cuStreamBeginCapture.invokeExact(stream, mode);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuStreamEndCapture(long stream, MemorySegment graphHandle) {
    try {
      return (int) cuStreamEndCapture.invokeExact(stream, graphHandle);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGraphInstantiateWithFlags(MemorySegment execHandle, long graph, long flags) {
    try {
      return (int) cuGraphInstantiateWithFlags.invokeExact(execHandle, graph, flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGraphUpload(long exec, long stream) {
    try {
      return (int) cuGraphUpload.invokeExact(exec, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGraphLaunch(long exec, long stream) {
    try {
      return (int) cuGraphLaunch.invokeExact(exec, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGraphExecDestroy(long exec) {
    try {
      return (int) cuGraphExecDestroy.invokeExact(exec);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuGraphDestroy(long graph) {
    try {
      return (int) cuGraphDestroy.invokeExact(graph);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuEventCreate(MemorySegment eventHandle, int flags) {
    try {
      return (int) cuEventCreate.invokeExact(eventHandle, flags);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuEventRecord(long event, long stream) {
    try {
      return (int) cuEventRecord.invokeExact(event, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuEventSynchronize(long event) {
    try {
      return (int) cuEventSynchronize.invokeExact(event);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuEventElapsedTime(MemorySegment floatMilliseconds, long start, long end) {
    try {
      return (int) cuEventElapsedTime.invokeExact(floatMilliseconds, start, end);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuEventDestroy(long event) {
    try {
      return (int) cuEventDestroy.invokeExact(event);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuModuleLoadData(MemorySegment moduleHandle, MemorySegment image) {
    try {
      return (int) cuModuleLoadData.invokeExact(moduleHandle, image);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuModuleUnload(long module) {
    try {
      return (int) cuModuleUnload.invokeExact(module);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuModuleGetFunction(MemorySegment functionHandle, long module, MemorySegment name) {
    try {
      return (int) cuModuleGetFunction.invokeExact(functionHandle, module, name);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuModuleGetGlobal(
      MemorySegment devicePointer, MemorySegment sizeBytes, long module, MemorySegment name) {
    try {
      return (int) cuModuleGetGlobal.invokeExact(devicePointer, sizeBytes, module, name);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuFuncGetAttribute(MemorySegment intValue, int attribute, long function) {
    try {
      return (int) cuFuncGetAttribute.invokeExact(intValue, attribute, function);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuFuncSetAttribute(long function, int attribute, int value) {
    try {
      return (int) cuFuncSetAttribute.invokeExact(function, attribute, value);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public boolean hasFuncGetParamInfo() {
    return cuFuncGetParamInfo != null;
  }

  @Override
  public int cuFuncGetParamInfo(
      long function, long index, MemorySegment sizeOffset, MemorySegment sizeBytes) {
    if (cuFuncGetParamInfo == null) {
      throw new IllegalStateException("the driver has no cuFuncGetParamInfo");
    }
    try {
      return (int) cuFuncGetParamInfo.invokeExact(function, index, sizeOffset, sizeBytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuOccupancyMaxActiveBlocksPerMultiprocessor(
      MemorySegment intBlocks, long function, int blockThreads, long sharedBytes) {
    try {
      return (int)
          cuOccupancyMaxActiveBlocksPerMultiprocessor.invokeExact(
              intBlocks, function, blockThreads, sharedBytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cuLaunchKernelEx(long config, long function, long kernelParams, long extra) {
    try {
      return (int) cuLaunchKernelEx.invokeExact(config, function, kernelParams, extra);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }
}
