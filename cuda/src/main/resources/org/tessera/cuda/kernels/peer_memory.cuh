// Loads and stores that other devices and the host take part in: past the caches that are not
// shared with them, and for slots at once in 8 bytes.
#pragma once
#include "element.cuh"

/** Two data of 4 bytes, each with the epoch in its upper half. */
struct __align__(16) Slot {
  u64 first;
  u64 second;
};

__device__ __forceinline__ u32 load_relaxed(const u32* address) {
  u32 v;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(address) : "memory");
  return v;
}

__device__ __forceinline__ u32 load_acquire(const u32* address) {
  u32 v;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(address) : "memory");
  return v;
}

__device__ __forceinline__ void store_release(u32* address, u32 v) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(address), "r"(v) : "memory");
}

/** Before a relaxed store that tells of earlier writes, and after a load that was told. */
__device__ __forceinline__ void fence_system() {
  asm volatile("fence.acq_rel.sys;" ::: "memory");
}

__device__ __forceinline__ Slot load_slot(const Slot* address) {
  Slot s;
  asm volatile("ld.relaxed.sys.global.v2.u64 {%0, %1}, [%2];"
               : "=l"(s.first), "=l"(s.second)
               : "l"(address)
               : "memory");
  return s;
}

__device__ __forceinline__ void store_slot(Slot* address, u32 first, u32 second, u32 epoch) {
  const u64 tag = (u64)epoch << 32;
  asm volatile("st.relaxed.sys.global.v2.u64 [%0], {%1, %2};" ::"l"(address), "l"(tag | first),
               "l"(tag | second)
               : "memory");
}

/** 16 bytes of a peer's memory, past the caches of this device. */
__device__ __forceinline__ uint4 load_peer(const void* address) {
  uint4 v;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(address)
               : "memory");
  return v;
}
