package org.tessera.cuda.ffm;

import java.lang.foreign.MemorySegment;

/** NCCL in C's terms, as in nccl.h. A {@code long} is a communicator, an address or a size. */
@SuppressWarnings("MemberName") // the names are nccl.h's
interface NcclApi {
  int ncclGetVersion(MemorySegment intVersion);

  MemorySegment ncclGetErrorString(int result);

  int ncclCommInitAll(MemorySegment communicators, int count, MemorySegment intDevices);

  int ncclCommDestroy(long communicator);

  int ncclCommAbort(long communicator);

  int ncclCommGetAsyncError(long communicator, MemorySegment intResult);

  int ncclGroupStart();

  int ncclGroupEnd();

  int ncclAllReduce(
      long send, long receive, long count, int type, int operation, long communicator, long stream);

  int ncclAllGather(
      long send, long receive, long sendCount, int type, long communicator, long stream);
}
