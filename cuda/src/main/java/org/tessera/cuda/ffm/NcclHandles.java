package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The method handles of NCCL. */
@SuppressWarnings("MemberName") // the names are nccl.h's
final class NcclHandles implements NcclApi {
  private final MethodHandle ncclGetVersion;
  private final MethodHandle ncclGetErrorString;
  private final MethodHandle ncclCommInitAll;
  private final MethodHandle ncclCommDestroy;
  private final MethodHandle ncclCommAbort;
  private final MethodHandle ncclCommGetAsyncError;
  private final MethodHandle ncclGroupStart;
  private final MethodHandle ncclGroupEnd;
  private final MethodHandle ncclAllReduce;
  private final MethodHandle ncclAllGather;

  NcclHandles(NativeLibrary library) {
    ncclGetVersion = library.bind("ncclGetVersion", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    ncclGetErrorString =
        library.bind("ncclGetErrorString", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    ncclCommInitAll =
        library.bind(
            "ncclCommInitAll", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));
    ncclCommDestroy = library.bind("ncclCommDestroy", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    ncclCommAbort = library.bind("ncclCommAbort", FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    ncclCommGetAsyncError =
        library.bind("ncclCommGetAsyncError", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
    ncclGroupStart = library.bind("ncclGroupStart", FunctionDescriptor.of(JAVA_INT));
    ncclGroupEnd = library.bind("ncclGroupEnd", FunctionDescriptor.of(JAVA_INT));
    ncclAllReduce =
        library.bind(
            "ncclAllReduce",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG,
                JAVA_LONG));
    ncclAllGather =
        library.bind(
            "ncclAllGather",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG));
  }

  @Override
  public int ncclGetVersion(MemorySegment intVersion) {
    try {
      return (int) ncclGetVersion.invokeExact(intVersion);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public MemorySegment ncclGetErrorString(int result) {
    try {
      return (MemorySegment) ncclGetErrorString.invokeExact(result);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclCommInitAll(MemorySegment communicators, int count, MemorySegment intDevices) {
    try {
      return (int) ncclCommInitAll.invokeExact(communicators, count, intDevices);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclCommDestroy(long communicator) {
    try {
      return (int) ncclCommDestroy.invokeExact(communicator);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclCommAbort(long communicator) {
    try {
      return (int) ncclCommAbort.invokeExact(communicator);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclCommGetAsyncError(long communicator, MemorySegment intResult) {
    try {
      return (int) ncclCommGetAsyncError.invokeExact(communicator, intResult);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclGroupStart() {
    try {
      return (int) ncclGroupStart.invokeExact();
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclGroupEnd() {
    try {
      return (int) ncclGroupEnd.invokeExact();
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclAllReduce(
      long send,
      long receive,
      long count,
      int type,
      int operation,
      long communicator,
      long stream) {
    try {
      return (int)
          ncclAllReduce.invokeExact(send, receive, count, type, operation, communicator, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }

  @Override
  public int ncclAllGather(
      long send, long receive, long sendCount, int type, long communicator, long stream) {
    try {
      return (int) ncclAllGather.invokeExact(send, receive, sendCount, type, communicator, stream);
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }
}
