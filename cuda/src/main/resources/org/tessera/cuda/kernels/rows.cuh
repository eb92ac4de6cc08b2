// Loops over rows of elements in vectors where everything is aligned, one by one where not.
#pragma once
#include "element.cuh"

/** Up to 8 elements of a row, fewer at the end of it. */
struct Group {
  int row;
  int column;
  int count;
  bool aligned;

  __device__ __forceinline__ Floats8 load(const element* row_start) const {
    if (aligned) {
      return unpack(*(const uint4*)(row_start + column));
    }
    Floats8 f;
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      f.at[i] = i < count ? to_float(row_start[column + i]) : 0.0f;
    }
    return f;
  }

  __device__ __forceinline__ void store(element* row_start, const Floats8& f) const {
    if (aligned) {
      *(uint4*)(row_start + column) = pack(f);
      return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      if (i < count) {
        row_start[column + i] = to_element(f.at[i]);
      }
    }
  }

  /** Copies the bits, NaNs and all. */
  __device__ __forceinline__ void copy(const element* from, element* to) const {
    if (aligned) {
      *(uint4*)(to + column) = *(const uint4*)(from + column);
      return;
    }
    for (int i = column; i < column + count; i++) {
      to[i] = from[i];
    }
  }
};

/** Calls body(group) for all groups of [rows, columns]; `aligned`: all rows start on 16 bytes. */
template <typename Body>
__device__ __forceinline__ void for_each_group(int rows, int columns, bool aligned, Body body) {
  const int groups = (columns + VECTOR - 1) / VECTOR;
  const long long count = (long long)rows * groups;
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const int column = (int)(i % groups) * VECTOR;
    body(Group{(int)(i / groups), column, min(VECTOR, columns - column),
               aligned && columns % VECTOR == 0});
  }
}
