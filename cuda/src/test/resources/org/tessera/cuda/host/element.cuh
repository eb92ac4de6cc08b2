// Stands for the element.cuh of the kernels where they are compiled for the host: as much of CUDA
// C++ as allreduce.cu and attention_wgmma.cu use. For allreduce.cu a block is a thread of the host,
// and its threads are fibers of that, so that what a block shares is what a thread of the host owns;
// a fiber gives way where it waits.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstring>

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __shared__ static thread_local

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

constexpr int WARP = 32;

struct Dimensions { int x, y = 0, z = 0; };
extern thread_local Dimensions threadIdx, blockIdx, gridDim;

/** Lets the other threads of the block, and other blocks, go on. */
void give_way();

/** Waits for all threads of the block; bit 0: whether all said so, bit 1: whether any did. */
int barrier(bool predicate);

inline void __syncthreads() { barrier(true); }
inline int __syncthreads_and(int predicate) { return barrier(predicate != 0) & 1; }
inline int __syncthreads_or(int predicate) { return barrier(predicate != 0) >> 1; }
inline u32 atomicAdd(u32* address, u32 by) { return __atomic_fetch_add(address, by, __ATOMIC_RELAXED); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

struct uint2 { u32 x, y; };
struct alignas(16) uint4 { u32 x, y, z, w; };
struct float2 { float x, y; };
inline uint2 make_uint2(u32 x, u32 y) { return {x, y}; }

struct element { u16 bits; };
constexpr int VECTOR = 8;
struct Floats8 { float at[VECTOR]; };

inline float to_float(element e) {
  const u32 bits = (u32)e.bits << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
inline element to_element(float f) {
  u32 bits;
  memcpy(&bits, &f, 4);
  return {(u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
inline u32 pack2(float low, float high) {
  return to_element(low).bits | (u32)to_element(high).bits << 16;
}
inline float2 unpack2(u32 v) { return {to_float({(u16)v}), to_float({(u16)(v >> 16)})}; }
inline Floats8 unpack(uint4 v) {
  const float2 a = unpack2(v.x), b = unpack2(v.y), c = unpack2(v.z), d = unpack2(v.w);
  return {{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}
inline uint4 pack(const Floats8& f) {
  return {pack2(f.at[0], f.at[1]), pack2(f.at[2], f.at[3]), pack2(f.at[4], f.at[5]),
          pack2(f.at[6], f.at[7])};
}
template <typename T>
inline T* row_of(T* matrix, int row, int stride) {
  return matrix + (long long)row * stride;
}
inline void wait_for_previous_kernel() {}
inline void start_next_kernel() {}
