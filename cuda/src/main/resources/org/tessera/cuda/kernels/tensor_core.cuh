// Matrix products of one warp: m16n8k16 with fp32 accumulation, the loads that bring fragments
// from shared memory, and asynchronous copies into it.
//
// In a warp, lane = 4 * group + pair. Fragments, two elements a register, k ascending upwards:
//   A [16, 16]: a0 (row group, k 2 pair), a1 (row group + 8, k 2 pair),
//               a2 (row group, k 2 pair + 8), a3 (row group + 8, k 2 pair + 8)
//   B [16, 8]:  b0 (k 2 pair, column group), b1 (k 2 pair + 8, column group)
//   C [16, 8]:  c0, c1 (row group, columns 2 pair, 2 pair + 1), c2, c3 (row group + 8, the same)
// The order of k does not matter as long as A and B agree on it.
#pragma once
#include "element.cuh"

__device__ __forceinline__ void mma_accumulate(float c[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0,
                                               u32 b1) {
#ifdef TESSERA_F16
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#endif
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/** Four 8x8 tiles from shared memory; lane i names row i % 8 of tile i / 8. */
__device__ __forceinline__ uint4 load_tiles(const void* row) {
  uint4 v;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"((u32)__cvta_generic_to_shared(row))
               : "memory");
  return v;
}

/** As load_tiles, each tile transposed. */
__device__ __forceinline__ uint4 load_tiles_transposed(const void* row) {
  uint4 v;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"((u32)__cvta_generic_to_shared(row))
               : "memory");
  return v;
}

/** Copies 16 bytes into shared memory, or zeros where `present` is false. */
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   (u32)__cvta_generic_to_shared(shared)),
               "l"(global), "r"(present ? 16 : 0)
               : "memory");
}

/** Closes a group of copies. */
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/** Waits until at most `PENDING` of the latest groups of this thread are under way. */
template <int PENDING>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
