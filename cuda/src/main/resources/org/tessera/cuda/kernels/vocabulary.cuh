// A row of logits shared by the blocks of a cluster: each has a slice of the vocabulary, and what
// they find meets over distributed shared memory. Below sm_90 one block has the whole row.
#pragma once
#include "pipeline.cuh"

constexpr int VOCABULARY_THREADS = 1024;
constexpr int VOCABULARY_WARPS = VOCABULARY_THREADS / WARP;
constexpr int VOCABULARY_CLUSTER = TESSERA_BULK_COPIES ? 8 : 1;

#if TESSERA_BULK_COPIES
#define VOCABULARY_KERNEL                                                 \
  extern "C" __global__ void __cluster_dims__(VOCABULARY_CLUSTER, 1, 1) \
      __launch_bounds__(VOCABULARY_THREADS, 1)
#else
#define VOCABULARY_KERNEL extern "C" __global__ void __launch_bounds__(VOCABULARY_THREADS, 1)
#endif

#define INFINITY_F __int_as_float(0x7f800000)
#define NAN_F __int_as_float(0x7fffffff)

/** What is wrong with a row instead of a token id. */
constexpr int ROW_NOT_FINITE = -1;
constexpr int ROW_WITHOUT_TOKEN = -2;

/** The same variable in the shared memory of another block of the cluster. */
template <typename T>
__device__ __forceinline__ const T* peer(const T* shared, int rank) {
#if TESSERA_BULK_COPIES
  u64 address;
  asm("mapa.u64 %0, %1, %2;" : "=l"(address) : "l"((u64)shared), "r"(rank));
  return (const T*)address;
#else
  return shared;
#endif
}

/** All threads of all blocks of the row. */
__device__ __forceinline__ void row_barrier() {
#if TESSERA_BULK_COPIES
  arrive_at_cluster_barrier();
  wait_for_cluster_barrier();
#else
  __syncthreads();
#endif
}

/** The part of a row that this block has: ids first to first + count. */
struct Slice {
  int row, rank, first, count;

  __device__ __forceinline__ explicit Slice(int vocabulary) {
    const int size = (vocabulary + VOCABULARY_CLUSTER - 1) / VOCABULARY_CLUSTER;
    row = blockIdx.x / VOCABULARY_CLUSTER;
    rank = blockIdx.x % VOCABULARY_CLUSTER;
    first = min(rank * size, vocabulary);
    count = min(size, vocabulary - first);
  }
};

/** Orders as the floats do; NaNs are at the ends. */
__device__ __forceinline__ u32 ordered(float f) {
  const u32 bits = __float_as_uint(f);
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
}

__device__ __forceinline__ float from_ordered(u32 key) {
  return __uint_as_float(key ^ ((key >> 31) != 0 ? 0x80000000u : 0xffffffffu));
}

/** The larger score, of equal ones the lower id. */
__device__ __forceinline__ u64 candidate(float score, int id) {
  return (u64)ordered(score) << 32 | (0xffffffffu - (u32)id);
}

__device__ __forceinline__ float score_of(u64 candidate) {
  return from_ordered((u32)(candidate >> 32));
}

__device__ __forceinline__ int id_of(u64 candidate) {
  return (int)(0xffffffffu - (u32)candidate);
}

__device__ __forceinline__ u64 warp_sum(u64 v) {
#pragma unroll
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    v += __shfl_xor_sync(FULL_WARP, v, offset);
  }
  return v;
}

/** Sums of this lane and those before it. */
__device__ __forceinline__ u64 warp_scan(u64 v) {
  const int lane = threadIdx.x % WARP;
#pragma unroll
  for (int offset = 1; offset < WARP; offset *= 2) {
    const u64 other = __shfl_up_sync(FULL_WARP, v, offset);
    v += lane >= offset ? other : 0;
  }
  return v;
}

/** The best candidate and the largest logit of a row; used once by a kernel. */
struct RowMaximum {
  u64 best_of_warp[VOCABULARY_WARPS];
  float logit_of_warp[VOCABULARY_WARPS];
  u64 best;
  float logit;
  int bad;

  /**
   * Every thread gives what it found and gets what the row has: the best candidate, and in
   * `max_logit` the largest logit, NaN where one is NaN or infinite upwards.
   */
  __device__ __forceinline__ u64 find(u64 mine, bool mine_bad, float* max_logit) {
    const int bad_here = __syncthreads_or(mine_bad);
    float max_here = *max_logit;
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
      mine = max(mine, __shfl_xor_sync(FULL_WARP, mine, offset));
    }
    max_here = warp_max(max_here);
    if (threadIdx.x % WARP == 0) {
      best_of_warp[threadIdx.x / WARP] = mine;
      logit_of_warp[threadIdx.x / WARP] = max_here;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int i = 1; i < VOCABULARY_WARPS; i++) {
        mine = max(mine, best_of_warp[i]);
        max_here = fmaxf(max_here, logit_of_warp[i]);
      }
      best = mine;
      logit = max_here;
      bad = bad_here;
    }
    row_barrier();
    u64 total = 0;
    int any_bad = 0;
    max_here = -INFINITY_F;
    for (int rank = 0; rank < VOCABULARY_CLUSTER; rank++) {
      const RowMaximum* other = peer(this, rank);
      total = max(total, other->best);
      max_here = fmaxf(max_here, other->logit);
      any_bad |= other->bad;
    }
    *max_logit = any_bad ? NAN_F : max_here;
    return total;
  }
};
