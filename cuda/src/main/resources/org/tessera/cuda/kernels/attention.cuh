// What the attention kernels share: where the keys of a row lie, and softmax in powers of two.
//
// A row of queries sees the first `seen` keys of its sequence. Scores are kept multiplied by
// log2(e), so that each weight is one exp2.
#pragma once
#include "tensor_core.cuh"

constexpr float LOG2_E = 1.4426950408889634f;

__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xff800000u); }

__device__ __forceinline__ float exp2_approximate(float v) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(v));
  return y;
}

/** Reads 16 bytes that no other block of the SM wants. */
__device__ __forceinline__ uint4 load_streaming(const void* address) {
  uint4 v;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(address)
               : "memory");
  return v;
}

/** Reads past L1, for what other blocks of the same launch wrote. */
__device__ __forceinline__ float4 load_shared_by_blocks(const float4* address) {
  float4 v;
  asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(address)
               : "memory");
  return v;
}

__device__ __forceinline__ float2 load_shared_by_blocks(const float2* address) {
  float2 v;
  asm volatile("ld.global.cg.v2.f32 {%0, %1}, [%2];"
               : "=f"(v.x), "=f"(v.y)
               : "l"(address)
               : "memory");
  return v;
}

/** Transposes the 8x8 tile of which a lane holds row lane / 4, columns 2 (lane % 4) and the next. */
__device__ __forceinline__ u32 transpose_tile(u32 v) {
  u32 y;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(v));
  return y;
}

/** Maximum over the 8 lanes with the same lane % 4. */
__device__ __forceinline__ float max_over_groups(float v) {
  v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 4));
  v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 8));
  return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 16));
}

__device__ __forceinline__ float sum_over_groups(float v) {
  v += __shfl_xor_sync(FULL_WARP, v, 4);
  v += __shfl_xor_sync(FULL_WARP, v, 8);
  return v + __shfl_xor_sync(FULL_WARP, v, 16);
}

/** Maximum over the 4 lanes with the same lane / 4. */
__device__ __forceinline__ float max_over_pairs(float v) {
  v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 1));
  return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 2));
}

__device__ __forceinline__ float sum_over_pairs(float v) {
  v += __shfl_xor_sync(FULL_WARP, v, 1);
  return v + __shfl_xor_sync(FULL_WARP, v, 2);
}

/** Number of the segment that holds a row, or -1. */
__device__ __forceinline__ int segment_of(const int* starts, int segments, int row) {
  if (row < starts[0] || row >= starts[segments]) {
    return -1;
  }
  int low = 0;
  int high = segments;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (starts[middle] <= row) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Keys that lie one after the other. */
struct DenseKeys {
  int first;

  __device__ __forceinline__ int row(int key) const { return first + key; }
};

/** Keys in blocks of any size. */
struct PagedKeys {
  const int* table;
  int block_rows;

  __device__ __forceinline__ int row(int key) const {
    return table[key / block_rows] * block_rows + key % block_rows;
  }
};

/** Keys in blocks of 1 << shift rows. */
struct ShiftedKeys {
  const int* table;
  int shift;

  __device__ __forceinline__ int row(int key) const {
    return (table[key >> shift] << shift) + (key & ((1 << shift) - 1));
  }
};
