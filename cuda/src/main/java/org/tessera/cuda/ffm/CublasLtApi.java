package org.tessera.cuda.ffm;

import java.lang.foreign.MemorySegment;

/**
 * cuBLASLt in C's terms, as in cublasLt.h. A {@code long} is a handle, a descriptor, a size or an
 * address; in {@link #cublasLtMatmul} host addresses too, so that the call does not allocate.
 */
@SuppressWarnings("MemberName") // the names are cublasLt.h's
interface CublasLtApi {
  long cublasLtGetVersion();

  MemorySegment cublasLtGetStatusName(int status);

  MemorySegment cublasLtGetStatusString(int status);

  int cublasLtCreate(MemorySegment handle);

  int cublasLtDestroy(long handle);

  int cublasLtMatmulDescCreate(MemorySegment descriptorHandle, int computeType, int scaleType);

  int cublasLtMatmulDescSetAttribute(
      long descriptor, int attribute, MemorySegment value, long bytes);

  int cublasLtMatmulDescDestroy(long descriptor);

  int cublasLtMatrixLayoutCreate(
      MemorySegment layoutHandle, int type, long rows, long columns, long leadingDimension);

  int cublasLtMatrixLayoutDestroy(long layout);

  int cublasLtMatmulPreferenceCreate(MemorySegment preferenceHandle);

  int cublasLtMatmulPreferenceSetAttribute(
      long preference, int attribute, MemorySegment value, long bytes);

  int cublasLtMatmulPreferenceDestroy(long preference);

  int cublasLtMatmulAlgoGetHeuristic(
      long handle,
      long descriptor,
      long layoutA,
      long layoutB,
      long layoutC,
      long layoutD,
      long preference,
      int requestedCount,
      MemorySegment results,
      MemorySegment intReturnedCount);

  int cublasLtMatmul(
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
      long stream);
}
