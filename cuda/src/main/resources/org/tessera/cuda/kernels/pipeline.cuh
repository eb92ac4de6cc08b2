// Rings of copies from global into shared memory with barriers of their own, and what the blocks of
// a cluster say to each other. On sm_80 the copies are cp.async of 16 bytes and there are no
// clusters; from sm_90 on the bulk copy engine takes whole rows.
#pragma once
#include "element.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define TESSERA_BULK_COPIES 1
#else
#define TESSERA_BULK_COPIES 0
#endif

__device__ __forceinline__ u32 shared_address(const void* shared) {
  return (u32)__cvta_generic_to_shared(shared);
}

/** One thread initialises; then publish_barriers, then a barrier of the block or cluster. */
__device__ __forceinline__ void init_barrier(u64* barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}

__device__ __forceinline__ void publish_barriers() {
#if TESSERA_BULK_COPIES
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

__device__ __forceinline__ void arrive(u64* barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(
                   shared_address(barrier))
               : "memory");
}

/** Waits for the end of the phase with this parity; phases count from 0. */
__device__ __forceinline__ void wait_for_phase(u64* barrier, u32 parity) {
  u32 done;
  do {
    asm volatile(
        "{ .reg .pred p;\n"
#if TESSERA_BULK_COPIES
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
#else
        "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
#endif
        "selp.u32 %0, 1, 0, p; }"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (!done);
}

#if TESSERA_BULK_COPIES

/** Arrives and announces bytes of bulk copies that the phase waits for. */
__device__ __forceinline__ void arrive_expecting(u64* barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

/** Says that what is read once should leave the L2 cache first. */
__device__ __forceinline__ u64 evict_first_policy() {
  u64 policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

/** Copies a multiple of 16 bytes between addresses that are multiples of 16. */
__device__ __forceinline__ void copy_bulk(void* shared, const void* global, u32 bytes,
                                          u64* barrier, u64 policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1], %2, [%3], %4;" ::"r"(shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier)), "l"(policy)
      : "memory");
}

__device__ __forceinline__ void prefetch_bulk(const void* global, u32 bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(global), "r"(bytes) : "memory");
}

/** The address of the same variable in the shared memory of another block of the cluster. */
__device__ __forceinline__ u32 address_in(const void* shared, u32 rank) {
  u32 address;
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(address)
      : "r"(shared_address(shared)), "r"(rank));
  return address;
}

__device__ __forceinline__ void store_in(u32 address, float v) {
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(address), "f"(v) : "memory");
}

__device__ __forceinline__ void arrive_in(u32 barrier_address) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier_address)
               : "memory");
}

/** As wait_for_phase, for what other blocks of the cluster stored before they arrived. */
__device__ __forceinline__ void wait_for_cluster_phase(u64* barrier, u32 parity) {
  u32 done;
  do {
    asm volatile(
        "{ .reg .pred p;\n"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p; }"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (!done);
}

/** The barrier of all threads of a cluster; each thread arrives, then waits, in turn. */
__device__ __forceinline__ void arrive_at_cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}

__device__ __forceinline__ void wait_for_cluster_barrier() {
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}

#else

__device__ __forceinline__ void copy_16_bytes(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
               "l"(global)
               : "memory");
}

/** Arrives once the copies that this thread has started are done. */
__device__ __forceinline__ void arrive_after_copies(u64* barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

__device__ __forceinline__ void arrive_at_cluster_barrier() {}

__device__ __forceinline__ void wait_for_cluster_barrier() {}

#endif
