// What a launch of a kernel of allreduce.cu does on the host: for the stand-in of the driver.
#include "fibers.h"

#include <atomic>
#include <cstring>

static std::atomic<u32> seed;

template <typename T>
static T argument(void** parameters, int index) {
  return *(T*)parameters[index];
}

template <typename... T, size_t... I>
static void call(void (*kernel)(T...), void** parameters, std::index_sequence<I...>) {
  kernel(argument<T>(parameters, I)...);
}

template <typename... T>
static void run(void (*kernel)(T...), int blocks, int threads, void** parameters) {
  launch(blocks, threads, seed += 1000,
         [=] { call(kernel, parameters, std::index_sequence_for<T...>()); });
}

/** Runs a kernel and waits for its end; returns 0, or 1 where there is none of this name. */
extern "C" int run_kernel(const char* name, int blocks, int threads, void** parameters) {
#define KERNEL(k)                          \
  if (strcmp(name, #k) == 0) {             \
    run(k, blocks, threads, parameters);   \
    return 0;                              \
  }
  KERNEL(all_reduce_one_shot_2)
  KERNEL(all_reduce_one_shot_4)
  KERNEL(all_reduce_one_shot_8)
  KERNEL(all_reduce_two_shot_2)
  KERNEL(all_reduce_two_shot_4)
  KERNEL(all_reduce_two_shot_8)
  KERNEL(all_gather_columns_32)
  KERNEL(all_gather_columns_16)
  return 1;
}
