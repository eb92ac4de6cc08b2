// Stands for the peer_memory.cuh of the kernels where they are compiled for the host.
#pragma once
#include "element.cuh"

struct alignas(16) Slot {
  u64 first;
  u64 second;
};

inline u32 load_relaxed(const u32* address) {
  give_way();
  return __atomic_load_n(address, __ATOMIC_RELAXED);
}
inline u32 load_acquire(const u32* address) {
  give_way();
  return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}
inline void store_release(u32* address, u32 v) { __atomic_store_n(address, v, __ATOMIC_RELEASE); }
inline void fence_system() { std::atomic_thread_fence(std::memory_order_acq_rel); }
inline Slot load_slot(const Slot* address) {
  give_way();
  const u64 second = __atomic_load_n(&address->second, __ATOMIC_RELAXED);
  return {__atomic_load_n(&address->first, __ATOMIC_RELAXED), second};
}
inline void store_slot(Slot* address, u32 first, u32 second, u32 epoch) {
  const u64 tag = (u64)epoch << 32;
  __atomic_store_n(&address->first, tag | first, __ATOMIC_RELAXED);
  give_way();
  __atomic_store_n(&address->second, tag | second, __ATOMIC_RELAXED);
}
inline uint4 load_peer(const void* address) { return *(const uint4*)address; }
