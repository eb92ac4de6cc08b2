// Rows of keys and values into the paged cache, and from one place of it to another.
//
// Shapes: k, v [rows, columns], keys and values [cache rows, columns]; strides in elements; I32
// slots, from and to [rows]. A negative target is skipped.
// Launch and alignment: as in embed.cu.
#include "rows.cuh"

/** Copies row from[i], or i, of k and v to row to[i] of keys and values. */
__device__ __forceinline__ void copy_rows(const element* k, int k_stride, const element* v,
                                          int v_stride, const int* from, const int* to,
                                          element* keys, int keys_stride, element* values,
                                          int values_stride, int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(k, k_stride) && is_aligned(v, v_stride) &&
                       is_aligned(keys, keys_stride) && is_aligned(values, values_stride);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    const int source = from == nullptr ? group.row : from[group.row];
    const int target = to[group.row];
    if (target >= 0) {
      group.copy(row_of(k, source, k_stride), row_of(keys, target, keys_stride));
      group.copy(row_of(v, source, v_stride), row_of(values, target, values_stride));
    }
  });
}

/** Row i of k and v becomes row slots[i] of the cache. */
extern "C" __global__ void write_kv(const element* k, int k_stride, const element* v, int v_stride,
                                    const int* slots, element* keys, int keys_stride,
                                    element* values, int values_stride, int rows, int columns) {
  copy_rows(k, k_stride, v, v_stride, nullptr, slots, keys, keys_stride, values, values_stride,
            rows, columns);
}

/** Row from[i] of the cache becomes row to[i]; no row may be both read and written in one launch. */
extern "C" __global__ void copy_kv_rows(const int* from, const int* to, element* keys,
                                        int keys_stride, element* values, int values_stride,
                                        int rows, int columns) {
  copy_rows(keys, keys_stride, values, values_stride, from, to, keys, keys_stride, values,
            values_stride, rows, columns);
}
