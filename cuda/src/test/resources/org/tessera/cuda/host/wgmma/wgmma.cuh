// Stands for the wgmma.cuh of the kernels where they are compiled for the host. The products of a
// group are done when they are begun or when they are waited for, at random, with what their
// operands are then: whoever touches them in between gets other results. Operands in shared memory are read where PTX's
// description of wgmma has the hardware read.
#pragma once
#include "panels.cuh"
#include "warps.h"

#include <deque>

struct Product {
  int columns, group, accumulate;
  u64 a, b;
  bool is_held;  // a in registers
  float* sums[128];
  const u32* held[128];
};

struct Warpgroup {
  Meeting meeting;
  std::deque<Product> products;
  Product next{};
  int group = 0;
  bool is_eager = false;
  bool any = false, all_said = false;
};
static Warpgroup warpgroups[2];

static float at(u64 address) {
  if (address + 2 > SHARED_BYTES) fail("a product beside shared memory");
  return to_float(*(const element*)((const char*)shared + (address ^ (address >> 7 & 7) << 4)));
}
static u64 start_of(u64 d) { return (d & 0x3fff) << 4; }
static u64 leading_of(u64 d) { return (d >> 16 & 0x3fff) << 4; }
static u64 stride_of(u64 d) { return (d >> 32 & 0x3fff) << 4; }

static void multiply(const Product& p) {
  static float a[64][16], b[128][16];
  if (p.b >> 62 != 1 || (!p.is_held && p.a >> 62 != 1)) fail("not the swizzle of 128 bytes");
  for (int k = 0; k < 16; k++) {
    for (int r = 0; r < 64; r++) {
      if (p.is_held) {
        const u32 pair = p.held[r / 16 * 32 + r % 8 * 4 + k % 8 / 2][r % 16 / 8 + k / 8 * 2];
        a[r][k] = to_float({(u16)(pair >> k % 2 * 16)});
      } else {
        a[r][k] = at(start_of(p.a) + r / 8 * stride_of(p.a) + r % 8 * 128 + k * 2);
      }
    }
    for (int n = 0; n < p.columns; n++) {
      b[n][k] = at(p.is_held ? start_of(p.b) + n / 64 * leading_of(p.b) + k / 8 * stride_of(p.b) +
                                   k % 8 * 128 + n % 64 * 2
                             : start_of(p.b) + n / 8 * stride_of(p.b) + n % 8 * 128 + k * 2);
    }
  }
  for (int r = 0; r < 64; r++) {
    for (int n = 0; n < p.columns; n++) {
      float sum = 0;
      for (int k = 0; k < 16; k++) sum += a[r][k] * b[n][k];
      float& d = p.sums[r / 16 * 32 + r % 8 * 4 + n % 8 / 2][n / 8 * 4 + r % 16 / 8 * 2 + n % 2];
      d = p.accumulate ? d + sum : sum;
    }
  }
}

static void finish(Warpgroup& w, int group) {
  while (!w.products.empty() && w.products.front().group < group) {
    multiply(w.products.front());
    w.products.pop_front();
  }
}

static void begin(float* d, const u32* held, int columns, u64 a, u64 b, int accumulate) {
  static const char place = 0;
  Warpgroup& w = warpgroups[threadIdx.x / 128];
  Product& p = w.next;
  if (w.meeting.arrived > 0 && (p.a != a || p.b != b)) fail("a product of two descriptors");
  p.columns = columns;
  p.accumulate = accumulate;
  p.a = a;
  p.b = b;
  p.is_held = held != nullptr;
  p.sums[threadIdx.x % 128] = d;
  p.held[threadIdx.x % 128] = held;
  w.meeting.join(128, &place, [&] {
    p.group = w.group;
    w.products.push_back(p);
    if (w.is_eager) finish(w, w.group + 1);
  });
}

inline void wgmma_shared_n64(float* d, u64 a, u64 b, int accumulate) { begin(d, nullptr, 64, a, b, accumulate); }
inline void wgmma_shared_n128(float* d, u64 a, u64 b, int accumulate) { begin(d, nullptr, 128, a, b, accumulate); }
inline void wgmma_registers_n72(float* d, const u32* a, u64 b) { begin(d, a, 72, 0, b, 1); }
inline void wgmma_registers_n128(float* d, const u32* a, u64 b) { begin(d, a, 128, 0, b, 1); }

inline void commit_products() {
  static const char place = 0;
  Warpgroup& w = warpgroups[threadIdx.x / 128];
  w.meeting.join(128, &place, [&] {
    w.group++;
    w.is_eager = chance() % 2;
  });
}
template <int PENDING>
void wait_for_products() {
  static const char place = 0;
  Warpgroup& w = warpgroups[threadIdx.x / 128];
  w.meeting.join(128, &place, [&] { finish(w, w.group - PENDING); });
}

inline void publish_to_products() {}
inline void start_products() {}
template <int COUNT, typename T>
void hold_registers(T*) {}

template <int THREADS_OF_BLOCK>
void wait_for_block() {
  of_block.join(THREADS_OF_BLOCK, &of_block, [] {});
}
inline bool any_of_warpgroup(int barrier, bool predicate) {
  static const char place = 0;
  Warpgroup& w = warpgroups[threadIdx.x / 128];
  if (barrier != 1 + threadIdx.x / 128) fail("the barrier of another");
  w.any |= predicate;
  w.meeting.join(128, &place, [&] {
    w.all_said = w.any;
    w.any = false;
  });
  return w.all_said;
}
