// Rows looked up, put elsewhere, copied and added.
//
// Shapes: [rows, columns] with strides in elements; ids I32 [rows].
// Launch: any grid (a thread takes 8 elements at a time, so rows * columns / 2048 blocks do each
// once), block 256, no dynamic shared memory. Any alignment; 16 bytes with columns and strides
// multiples of 8 is fast.
#include "rows.cuh"

/** out[i] = table[ids[i]], zeros where the id is negative: embeddings, chosen rows. */
extern "C" __global__ void gather_rows(const element* table, int table_stride, const int* ids,
                                       element* out, int out_stride, int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(table, table_stride) && is_aligned(out, out_stride);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    element* target = row_of(out, group.row, out_stride);
    const int id = ids[group.row];
    if (id >= 0) {
      group.copy(row_of(table, id, table_stride), target);
    } else {
      group.store(target, Floats8{});
    }
  });
}

/** in_out[ids[i]] = x[i] where the id is not negative. */
extern "C" __global__ void scatter_rows(const element* x, int x_stride, const int* ids,
                                        element* in_out, int in_out_stride, int rows,
                                        int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(x, x_stride) && is_aligned(in_out, in_out_stride);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    const int id = ids[group.row];
    if (id >= 0) {
      group.copy(row_of(x, group.row, x_stride), row_of(in_out, id, in_out_stride));
    }
  });
}

/** in_out[i] += table[ids[i]], or x[i] where ids is null; rows with negative ids stay. */
__device__ __forceinline__ void add_from(const element* x, int x_stride, const int* ids,
                                         element* in_out, int in_out_stride, int rows,
                                         int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(x, x_stride) && is_aligned(in_out, in_out_stride);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    const int id = ids == nullptr ? group.row : ids[group.row];
    if (id >= 0) {
      element* target = row_of(in_out, group.row, in_out_stride);
      Floats8 sum = group.load(target);
      const Floats8 other = group.load(row_of(x, id, x_stride));
#pragma unroll
      for (int i = 0; i < VECTOR; i++) {
        sum.at[i] += other.at[i];
      }
      group.store(target, sum);
    }
  });
}

/** in_out[i] += table[ids[i]] where the id is not negative. */
extern "C" __global__ void add_rows(const element* table, int table_stride, const int* ids,
                                    element* in_out, int in_out_stride, int rows, int columns) {
  add_from(table, table_stride, ids, in_out, in_out_stride, rows, columns);
}

/** in_out += x. */
extern "C" __global__ void add(const element* x, int x_stride, element* in_out, int in_out_stride,
                               int rows, int columns) {
  add_from(x, x_stride, nullptr, in_out, in_out_stride, rows, columns);
}

/** out = x. */
extern "C" __global__ void copy(const element* x, int x_stride, element* out, int out_stride,
                                int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = is_aligned(x, x_stride) && is_aligned(out, out_stride);
  for_each_group(rows, columns, aligned, [=](const Group& group) {
    group.copy(row_of(x, group.row, x_stride), row_of(out, group.row, out_stride));
  });
}

/** out = x rounded; x is fp32, its stride in floats. */
extern "C" __global__ void convert_f32(const float* x, int x_stride, element* out, int out_stride,
                                       int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  for_each_group(rows, columns, is_aligned(out, out_stride), [=](const Group& group) {
    const float* source = row_of(x, group.row, x_stride) + group.column;
    Floats8 f;
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      f.at[i] = i < group.count ? source[i] : 0.0f;
    }
    group.store(row_of(out, group.row, out_stride), f);
  });
}
