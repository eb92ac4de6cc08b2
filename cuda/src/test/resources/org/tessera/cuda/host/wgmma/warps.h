// The threads of a block of CUDA as fibers of the host, warps in any order, and asynchronous copies,
// each of which is done when it is asked for or when it is waited for.
#pragma once
#include "element.cuh"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <ucontext.h>
#include <vector>

#undef __shared__
#define __shared__

constexpr u32 FULL_WARP = 0xffffffffu;
constexpr int BLOCK_THREADS = 256;
constexpr int SHARED_BYTES = 232448;

thread_local Dimensions threadIdx, blockIdx, gridDim;
alignas(1024) uint4 shared[SHARED_BYTES / sizeof(uint4)];
static std::mt19937 chance;

inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }
inline u64 __cvta_generic_to_shared(const void* p) { return (const char*)p - (const char*)shared; }

[[noreturn]] inline void fail(const char* what) {
  printf("thread %d of block %d, %d, %d: %s\n", threadIdx.x, blockIdx.x, blockIdx.y, blockIdx.z, what);
  exit(1);
}

struct Copy {
  void* target;
  const void* source;
  bool present;
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  bool ended;
  std::vector<std::vector<Copy>> copies;
};

static ucontext_t scheduler;
static std::vector<Fiber> fibers(BLOCK_THREADS);
static std::function<void()> kernel;

/** Where threads meet; the last to come acts for all. */
struct Meeting {
  int arrived = 0, generation = 0;
  const void* place = nullptr;

  template <typename Act>
  void join(int count, const void* at, Act act) {
    if (arrived > 0 && at != place) fail("others wait elsewhere");
    place = at;
    const int mine = generation;
    if (++arrived == count) {
      act();
      arrived = 0;
      generation++;
    }
    const Dimensions me = threadIdx;
    while (generation == mine) {
      swapcontext(&fibers[me.x].context, &scheduler);
      threadIdx = me;
    }
  }
};
static Meeting of_block, of_warp[BLOCK_THREADS / WARP];

template <typename T>
T __shfl_xor_sync(u32, T v, int mask) {
  static T given[BLOCK_THREADS];
  static const char place = 0;
  given[threadIdx.x] = v;
  Meeting& warp = of_warp[threadIdx.x / WARP];
  warp.join(WARP, &place, [] {});
  const T result = given[threadIdx.x ^ mask];
  warp.join(WARP, &given, [] {});
  return result;
}

inline void copy(const Copy& c) {
  if (c.present) {
    memcpy(c.target, c.source, 16);
  } else {
    memset(c.target, 0, 16);
  }
}

inline void copy_async(void* target, const void* source, bool present) {
  const u64 at = __cvta_generic_to_shared(target);
  if (at % 16 != 0 || at + 16 > SHARED_BYTES) fail("a copy beside shared memory");
  if (chance() % 2) {
    copy({target, source, present});
  } else {
    fibers[threadIdx.x].copies.back().push_back({target, source, present});
  }
}
inline void commit_copies() { fibers[threadIdx.x].copies.push_back({}); }

template <int PENDING>
void wait_for_copies() {
  auto& groups = fibers[threadIdx.x].copies;
  while ((int)groups.size() - 1 > PENDING) {
    for (const Copy& c : groups.front()) copy(c);
    groups.erase(groups.begin());
  }
}

static void run_fiber() {
  kernel();
  Fiber& fiber = fibers[threadIdx.x];
  for (const auto& group : fiber.copies) {
    if (!group.empty()) fail("a copy that nobody waited for");
  }
  fiber.ended = true;
  swapcontext(&fiber.context, &scheduler);
}

/** Runs one block; shared memory is NaN at its start. */
static void run_block(Dimensions at, Dimensions grid, std::function<void()> body) {
  kernel = body;
  blockIdx = at;
  gridDim = grid;
  memset(shared, 0xff, SHARED_BYTES);
  for (Fiber& fiber : fibers) {
    fiber.stack.resize(64 << 10);
    fiber.ended = false;
    fiber.copies.assign(1, {});
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    makecontext(&fiber.context, run_fiber, 0);
  }
  for (int live = BLOCK_THREADS; live > 0;) {
    const int warp = chance() % (BLOCK_THREADS / WARP);
    for (int i = warp * WARP; i < (warp + 1) * WARP; i++) {
      if (!fibers[i].ended) {
        threadIdx = {i};
        swapcontext(&scheduler, &fibers[i].context);
        live -= fibers[i].ended;
      }
    }
  }
}
