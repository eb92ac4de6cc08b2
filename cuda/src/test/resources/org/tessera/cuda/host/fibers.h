// Blocks of threads of CUDA on threads of the host, see element.cuh.
#pragma once
#include "allreduce.cu"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>
#include <ucontext.h>
#include <vector>

thread_local Dimensions threadIdx, blockIdx, gridDim;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  bool ended;
};
struct Block {
  ucontext_t scheduler;
  std::vector<Fiber> fibers;
  std::function<void()> kernel;
  std::mt19937 random;
  int running, live, arrived, result, generation, last_result;
};
static thread_local Block* block;

void give_way() {
  if (block->random() % 4 != 0) return;
  const Dimensions mine = threadIdx;
  swapcontext(&block->fibers[block->running].context, &block->scheduler);
  threadIdx = mine;
}

static void release_barrier() {
  block->last_result = block->result;
  block->result = 1;  // all, and none
  block->arrived = 0;
  block->generation++;
}

int barrier(bool predicate) {
  Block* b = block;
  const Dimensions mine = threadIdx;
  const int generation = b->generation;
  b->result = predicate ? b->result | 2 : b->result & ~1;
  if (++b->arrived == b->live) release_barrier();
  while (b->generation == generation) {
    swapcontext(&b->fibers[b->running].context, &b->scheduler);
  }
  threadIdx = mine;
  return b->last_result;
}

static void run_fiber() {
  block->kernel();
  block->fibers[block->running].ended = true;
  block->live--;
  if (block->live > 0 && block->arrived == block->live) release_barrier();
  swapcontext(&block->fibers[block->running].context, &block->scheduler);
}

static void run_block(int index, int blocks, int threads, u32 seed, std::function<void()> kernel) {
  Block b{};
  b.kernel = kernel;
  b.random.seed(seed);
  b.live = threads;
  b.result = 1;
  b.fibers.resize(threads);
  block = &b;
  blockIdx = {index};
  gridDim = {blocks};
  for (Fiber& fiber : b.fibers) {
    fiber.stack.resize(32 << 10);
    fiber.ended = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    makecontext(&fiber.context, run_fiber, 0);
  }
  while (b.live > 0) {
    for (int i = 0; i < threads; i++) {
      if (!b.fibers[i].ended) {
        b.running = i;
        threadIdx = {i};
        swapcontext(&b.scheduler, &b.fibers[i].context);
      }
    }
    std::this_thread::yield();
  }
}

static void launch(int blocks, int threads, u32 seed, std::function<void()> kernel) {
  std::vector<std::thread> running;
  for (int i = 0; i < blocks; i++) {
    running.emplace_back(run_block, i, blocks, threads, seed + i, kernel);
  }
  for (std::thread& thread : running) thread.join();
}
