package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The method handles of cuBLASLt. */
@SuppressWarnings("MemberName") // the names are cublasLt.h's
final class CublasLtHandles implements CublasLtApi {
  private final MethodHandle cublasLtGetVersion;
  private final MethodHandle cublasLtGetStatusName;
  private final MethodHandle cublasLtGetStatusString;
  private final MethodHandle cublasLtCreate;
  private final MethodHandle cublasLtDestroy;
  private final MethodHandle cublasLtMatmulDescCreate;
  private final MethodHandle cublasLtMatmulDescSetAttribute;
  private final MethodHandle cublasLtMatmulDescDestroy;
  private final MethodHandle cublasLtMatrixLayoutCreate;
  private final MethodHandle cublasLtMatrixLayoutDestroy;
  private final MethodHandle cublasLtMatmulPreferenceCreate;
  private final MethodHandle cublasLtMatmulPreferenceSetAttribute;
  private final MethodHandle cublasLtMatmulPreferenceDestroy;
  private final MethodHandle cublasLtMatmulAlgoGetHeuristic;
  private final MethodHandle cublasLtMatmul;

  CublasLtHandles(NativeLibrary library) {
    cublasLtGetVersion = library.bind("cublasLtGetVersion", FunctionDescriptor.of(JAVA_LONG));
    cublasLtGetStatusName =
        library.bind("cublasLtGetStatusName", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    cublasLtGetStatusString =
        library.bind("cublasLtGetStatusString", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    cublasLtCreate = library.bind("cublasLtCreate", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    cublasLtDestroy = library.bind("cublasLtDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cublasLtMatmulDescCreate =
        library.bind(
            "cublasLtMatmulDescCreate",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    cublasLtMatmulDescSetAttribute =
        library.bind(
            "cublasLtMatmulDescSetAttribute",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    cublasLtMatmulDescDestroy =
        library.bind("cublasLtMatmulDescDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cublasLtMatrixLayoutCreate =
        library.bind(
            "cublasLtMatrixLayoutCreate",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    cublasLtMatrixLayoutDestroy =
        library.bind("cublasLtMatrixLayoutDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cublasLtMatmulPreferenceCreate =
        library.bind("cublasLtMatmulPreferenceCreate", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    cublasLtMatmulPreferenceSetAttribute =
        library.bind(
            "cublasLtMatmulPreferenceSetAttribute",
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    cublasLtMatmulPreferenceDestroy =
        library.bind("cublasLtMatmulPreferenceDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    cublasLtMatmulAlgoGetHeuristic =
        library.bind(
            "cublasLtMatmulAlgoGetHeuristic",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS));
    cublasLtMatmul =
        library.bind(
            "cublasLtMatmul",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                JAVA_LONG, JAVA_LONG, JAVA_LONG));
  }

  @Override
  public long cublasLtGetVersion() {
    try {
      return (long) cublasLtGetVersion.invokeExact();
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public MemorySegment cublasLtGetStatusName(int status) {
    try {
      return (MemorySegment) cublasLtGetStatusName.invokeExact(status);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public MemorySegment cublasLtGetStatusString(int status) {
    try {
      return (MemorySegment) cublasLtGetStatusString.invokeExact(status);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtCreate(MemorySegment handle) {
    try {
      return (int) cublasLtCreate.invokeExact(handle);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtDestroy(long handle) {
    try {
      return (int) cublasLtDestroy.invokeExact(handle);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulDescCreate(
      MemorySegment descriptorHandle, int computeType, int scaleType) {
    try {
      return (int) cublasLtMatmulDescCreate.invokeExact(descriptorHandle, computeType, scaleType);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulDescSetAttribute(
      long descriptor, int attribute, MemorySegment value, long bytes) {
    try {
      return (int) cublasLtMatmulDescSetAttribute.invokeExact(descriptor, attribute, value, bytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulDescDestroy(long descriptor) {
    try {
      return (int) cublasLtMatmulDescDestroy.invokeExact(descriptor);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatrixLayoutCreate(
      MemorySegment layoutHandle, int type, long rows, long columns, long leadingDimension) {
    try {
      return (int)
          cublasLtMatrixLayoutCreate.invokeExact(
              layoutHandle, type, rows, columns, leadingDimension);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatrixLayoutDestroy(long layout) {
    try {
      return (int) cublasLtMatrixLayoutDestroy.invokeExact(layout);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulPreferenceCreate(MemorySegment preferenceHandle) {
    try {
      return (int) cublasLtMatmulPreferenceCreate.invokeExact(preferenceHandle);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulPreferenceSetAttribute(
      long preference, int attribute, MemorySegment value, long bytes) {
    try {
      return (int)
          cublasLtMatmulPreferenceSetAttribute.invokeExact(preference, attribute, value, bytes);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulPreferenceDestroy(long preference) {
    try {
      return (int) cublasLtMatmulPreferenceDestroy.invokeExact(preference);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmulAlgoGetHeuristic(
      long handle,
      long descriptor,
      long layoutA,
      long layoutB,
      long layoutC,
      long layoutD,
      long preference,
      int requestedCount,
      MemorySegment results,
      MemorySegment intReturnedCount) {
    try {
      return (int)
          cublasLtMatmulAlgoGetHeuristic.invokeExact(
              handle,
              descriptor,
              layoutA,
              layoutB,
              layoutC,
              layoutD,
              preference,
              requestedCount,
              results,
              intReturnedCount);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int cublasLtMatmul(
      long handle,
      long descriptor,
      long alpha,
      long a,
      long layoutA,
      long b,
      long layoutB,
      long beta,
      long c,
      long layoutC,
      long d,
      long layoutD,
      long algorithm,
      long workspace,
      long workspaceBytes,
      long stream) {
    try {
      return (int)
          cublasLtMatmul.invokeExact(
              handle,
              descriptor,
              alpha,
              a,
              layoutA,
              b,
              layoutB,
              beta,
              c,
              layoutC,
              d,
              layoutD,
              algorithm,
              workspace,
              workspaceBytes,
              stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }
}
