// Rows of keys and values into the paged cache, and from one place of it to another.
#include "element.cuh"

__device__ __forceinline__ void copy_group(const element* source, element* target, int column,
                                           int columns, bool aligned) {
  if (aligned) {
    *(uint4*)(target + column) = *(const uint4*)(source + column);
    return;
  }
  for (int c = column; c < min(column + VECTOR, columns); c++) {
    target[c] = source[c];
  }
}

/** Copies row from[i], or i, of k and v to row to[i] of keys and values. */
__device__ __forceinline__ void copy_rows(const element* k, int k_stride, const element* v,
                                          int v_stride, const int* from, const int* to,
                                          element* keys, int keys_stride, element* values,
                                          int values_stride, int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = columns % VECTOR == 0 && is_aligned(k, k_stride) &&
                       is_aligned(v, v_stride) && is_aligned(keys, keys_stride) &&
                       is_aligned(values, values_stride);
  const int groups = (columns + VECTOR - 1) / VECTOR;
  const long long count = (long long)rows * groups;
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const int row = (int)(i / groups);
    const int column = (int)(i % groups) * VECTOR;
    const int source = from == nullptr ? row : from[row];
    const int target = to[row];
    if (target >= 0) {
      copy_group(row_of(k, source, k_stride), row_of(keys, target, keys_stride), column, columns,
                 aligned);
      copy_group(row_of(v, source, v_stride), row_of(values, target, values_stride), column,
                 columns, aligned);
    }
  }
}

extern "C" __global__ void write_kv(const element* k, int k_stride, const element* v, int v_stride,
                                    const int* slots, element* keys, int keys_stride,
                                    element* values, int values_stride, int rows, int columns) {
  copy_rows(k, k_stride, v, v_stride, nullptr, slots, keys, keys_stride, values, values_stride,
            rows, columns);
}

/** No row may be both read and written in one launch. */
extern "C" __global__ void copy_kv_rows(const int* from, const int* to, element* keys,
                                        int keys_stride, element* values, int values_stride,
                                        int rows, int columns) {
  copy_rows(keys, keys_stride, values, values_stride, from, to, keys, keys_stride, values,
            values_stride, rows, columns);
}
