// Stands for the attention.cuh of the kernels where they are compiled for the host.
#pragma once
#include "warps.h"

#include <cmath>

constexpr float LOG2_E = 1.4426950408889634f;

inline float minus_infinity() { return -INFINITY; }
inline float exp2_approximate(float v) { return exp2f(v); }
inline float max_over_pairs(float v) {
  v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 1));
  return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 2));
}
inline float sum_over_pairs(float v) {
  v += __shfl_xor_sync(FULL_WARP, v, 1);
  return v + __shfl_xor_sync(FULL_WARP, v, 2);
}

struct DenseKeys {
  int first;
  int row(int key) const { return first + key; }
};
struct ShiftedKeys {
  const int* table;
  int shift;
  int row(int key) const { return (table[key >> shift] << shift) + key % (1 << shift); }
};
