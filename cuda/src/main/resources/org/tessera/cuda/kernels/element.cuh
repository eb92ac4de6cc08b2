// What every kernel shares: the element type, 16-byte vectors of it, sums of a warp, activations
// and the order among kernels.
//
// The element type is bf16, or fp16 where TESSERA_F16 is defined; arithmetic is fp32. Nothing of
// the toolkit is included, so that NVRTC compiles these files wherever only the driver and NVRTC
// are installed. --use_fast_math must be off: angles of rotary embeddings reach tens of thousands.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/** The bits of a bf16 or fp16 number. */
struct __align__(2) element {
  u16 bits;
};

/** Elements of a 16-byte vector. */
constexpr int VECTOR = 8;
constexpr int WARP = 32;
constexpr u32 FULL_WARP = 0xffffffffu;

struct Floats8 {
  float at[VECTOR];
};

__device__ __forceinline__ float to_float(element e) {
#ifdef TESSERA_F16
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(e.bits));
  return f;
#else
  return __uint_as_float((u32)e.bits << 16);
#endif
}

/** Rounds to nearest, ties to even. */
__device__ __forceinline__ element to_element(float f) {
  element e;
#ifdef TESSERA_F16
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(e.bits) : "f"(f));
#else
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(e.bits) : "f"(f));
#endif
  return e;
}

/** Two elements in a register, `low` at the lower address. */
__device__ __forceinline__ u32 pack2(float low, float high) {
  u32 v;
#ifdef TESSERA_F16
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
#else
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
#endif
  return v;
}

__device__ __forceinline__ float2 unpack2(u32 v) {
#ifdef TESSERA_F16
  element low, high;
  low.bits = (u16)v;
  high.bits = (u16)(v >> 16);
  return make_float2(to_float(low), to_float(high));
#else
  return make_float2(__uint_as_float(v << 16), __uint_as_float(v & 0xffff0000u));
#endif
}

/** Products of two pairs, each rounded once. */
__device__ __forceinline__ u32 multiply2(u32 a, u32 b) {
  u32 v;
#ifdef TESSERA_F16
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(a), "r"(b));
#else
  // A sum with -0 is the product itself; sm_80 has no multiplication of bf16.
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(v) : "r"(a), "r"(b), "r"(0x80008000u));
#endif
  return v;
}

__device__ __forceinline__ Floats8 unpack(uint4 v) {
  const float2 a = unpack2(v.x), b = unpack2(v.y), c = unpack2(v.z), d = unpack2(v.w);
  return {{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}

__device__ __forceinline__ uint4 pack(const Floats8& f) {
  return make_uint4(pack2(f.at[0], f.at[1]), pack2(f.at[2], f.at[3]), pack2(f.at[4], f.at[5]),
                    pack2(f.at[6], f.at[7]));
}

/** The row of a matrix whose rows start `stride` elements apart. */
template <typename T>
__device__ __forceinline__ T* row_of(T* matrix, int row, int stride) {
  return matrix + (long long)row * stride;
}

/** Whether every row of a matrix may be read in 16-byte vectors. */
__device__ __forceinline__ bool is_aligned(const void* matrix, int stride) {
  return (u64)matrix % 16 == 0 && stride % VECTOR == 0;
}

/**
 * Reads 16 bytes that nothing writes while the kernel runs and that no other block of the SM wants.
 * Volatile: a kernel that keeps loads in flight chooses where they start.
 */
__device__ __forceinline__ uint4 load_weights(const void* address) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(address));
  return v;
}

/** Asks for the 128 bytes around an address, which must be readable. */
__device__ __forceinline__ void prefetch_to_l2(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    v += __shfl_xor_sync(FULL_WARP, v, offset);
  }
  return v;
}

__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, offset));
  }
  return v;
}

__device__ __forceinline__ void sine_cosine(float angle, float* sine, float* cosine) {
  sincosf(angle, sine, cosine);
}

__device__ __forceinline__ float silu(float v) { return v / (1.0f + __expf(-v)); }

__device__ __forceinline__ float gelu_tanh(float v) {
  const float inner = 0.7978845608028654f * (v + 0.044715f * v * v * v);
  return 0.5f * v * (1.0f + tanhf(inner));
}

/** The values of the host's activation argument. */
constexpr int ACTIVATION_NONE = 0;
constexpr int ACTIVATION_GELU_TANH = 1;

__device__ __forceinline__ float activate(int activation, float v) {
  return activation == ACTIVATION_GELU_TANH ? gelu_tanh(v) : v;
}

/**
 * Waits until the kernels before this one in the stream have ended and their writes are visible.
 * Nothing they write may be read before, and nothing they read may be written.
 */
__device__ __forceinline__ void wait_for_previous_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/** Lets the next kernel of the stream start where there is room; it waits for this one's end. */
__device__ __forceinline__ void start_next_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
