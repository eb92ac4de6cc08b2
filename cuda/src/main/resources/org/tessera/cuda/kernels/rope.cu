// Rotary position embedding, half-split, and with it the write into the paged cache.
//
// Shapes: in_out [rows, heads * head_width]; qkv [rows, (query_heads + 2 kv_heads) * head_width],
// queries, keys, values in this order; positions, slots I32 [rows]; inverse_frequencies fp32
// [head_width / 2]; strides in elements. Rows with a negative position are not turned; rows with a
// negative slot leave the cache alone.
// Launch: any grid (a thread takes a pair of elements at a time), block 256, no dynamic shared
// memory. Any alignment.
#include "element.cuh"

/** Turns elements j and j + width/2 of one head. */
__device__ __forceinline__ void rotate(const element* head, element* out, int j, int half,
                                       float angle) {
  float sine, cosine;
  sine_cosine(angle, &sine, &cosine);
  const float a = to_float(head[j]);
  const float b = to_float(head[j + half]);
  out[j] = to_element(a * cosine - b * sine);
  out[j + half] = to_element(b * cosine + a * sine);
}

/** Turns all heads in place. */
extern "C" __global__ void rope(element* in_out, int in_out_stride, const int* positions,
                                const float* inverse_frequencies, int rows, int heads,
                                int head_width) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int half = head_width / 2;
  const int pairs = heads * half;
  const long long count = (long long)rows * pairs;
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const int row = (int)(i / pairs);
    const int pair = (int)(i % pairs);
    const int j = pair % half;
    const int position = positions[row];
    if (position >= 0) {
      element* head = row_of(in_out, row, in_out_stride) + pair / half * head_width;
      rotate(head, head, j, half, position * inverse_frequencies[j]);
    }
  }
}

/** Queries, turned, into q_out; keys, turned, and values into row slots[i] of the cache. */
extern "C" __global__ void rope_write_kv(const element* qkv, int qkv_stride, const int* positions,
                                         const int* slots, const float* inverse_frequencies,
                                         int rows, int query_heads, int kv_heads, int head_width,
                                         element* q_out, int q_out_stride, element* keys,
                                         int keys_stride, element* values, int values_stride) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int half = head_width / 2;
  const int pairs = (query_heads + 2 * kv_heads) * half;
  const long long count = (long long)rows * pairs;
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const int row = (int)(i / pairs);
    const int pair = (int)(i % pairs);
    const int head = pair / half;
    const int j = pair % half;
    const element* source = row_of(qkv, row, qkv_stride) + head * head_width;
    const int position = positions[row];
    const int slot = slots[row];
    const float angle = max(position, 0) * inverse_frequencies[j];
    if (head < query_heads) {
      if (position >= 0) {
        rotate(source, row_of(q_out, row, q_out_stride) + head * head_width, j, half, angle);
      }
    } else if (slot < 0) {
      continue;
    } else if (head < query_heads + kv_heads) {
      element* key = row_of(keys, slot, keys_stride) + (head - query_heads) * head_width;
      rotate(source, key, j, half, angle);
    } else {
      element* value = row_of(values, slot, values_stride);
      value += (head - query_heads - kv_heads) * head_width;
      value[j] = source[j];
      value[j + half] = source[j + half];
    }
  }
}
