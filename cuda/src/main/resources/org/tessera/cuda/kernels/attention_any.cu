// Attention for every head width and alignment: one block a row and head, no tensor cores. It is
// for shapes that no other kernel takes, and to compare the others with.
//
// Launch: grid (rows of q, query heads), block 128, dynamic shared bytes 8 * width (width up to
// 6,000 within the 48 KB that need no attribute). No workspace; nothing need be aligned beyond an
// element.
#include "attention.cuh"

constexpr int THREADS = 128;
constexpr int WARPS = THREADS / WARP;

template <bool MAX>
__device__ __forceinline__ float over_block(float v, float* scratch) {
  v = MAX ? warp_max(v) : warp_sum(v);
  if (threadIdx.x % WARP == 0) {
    scratch[threadIdx.x / WARP] = v;
  }
  __syncthreads();
  float result = scratch[0];
  for (int i = 1; i < WARPS; i++) {
    result = MAX ? fmaxf(result, scratch[i]) : result + scratch[i];
  }
  __syncthreads();
  return result;
}

/** One head of one row; the pointers are those of the head's first column. */
template <typename Keys>
__device__ __forceinline__ void attend(const element* q, const element* k, int k_stride,
                                       const element* v, int v_stride, Keys keys, int seen,
                                       int width, float scale, element* out) {
  extern __shared__ float shared[];
  float* query = shared;
  float* sums = shared + width;
  __shared__ float weights[THREADS];
  __shared__ float scratch[WARPS];
  for (int c = threadIdx.x; c < width; c += THREADS) {
    query[c] = to_float(q[c]) * scale * LOG2_E;
    sums[c] = 0.0f;
  }
  __syncthreads();
  float top = minus_infinity();
  float total = 0.0f;
  for (int first = 0; first < seen; first += THREADS) {
    const int count = min(THREADS, seen - first);
    float score = minus_infinity();
    if (threadIdx.x < count) {
      const element* key = row_of(k, keys.row(first + threadIdx.x), k_stride);
      score = 0.0f;
      for (int c = 0; c < width; c++) {
        score += query[c] * to_float(key[c]);
      }
    }
    const float new_top = fmaxf(top, over_block<true>(score, scratch));
    const float keep = exp2f(top - new_top);
    const float weight = exp2f(score - new_top);
    weights[threadIdx.x] = weight;
    total = total * keep + over_block<false>(weight, scratch);
    top = new_top;
    for (int c = threadIdx.x; c < width; c += THREADS) {
      float sum = sums[c] * keep;
      for (int i = 0; i < count; i++) {
        sum += weights[i] * to_float(row_of(v, keys.row(first + i), v_stride)[c]);
      }
      sums[c] = sum;
    }
    __syncthreads();
  }
  for (int c = threadIdx.x; c < width; c += THREADS) {
    out[c] = to_element(seen > 0 ? sums[c] / total : 0.0f);
  }
}

/**
 * Every row of a segment of queries sees all keys of the segment with the same number. Rows outside
 * the segments are not written; those of a segment without keys become zero.
 */
extern "C" __global__ void attention_any(const element* q, int q_stride, const element* k,
                                         int k_stride, const element* v, int v_stride,
                                         const int* query_starts, const int* key_starts,
                                         int segments, int group, int width, float scale,
                                         element* out, int out_stride) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int row = blockIdx.x;
  const int head = blockIdx.y;
  const int kv_head = head / group;
  const int segment = segment_of(query_starts, segments, row);
  if (segment < 0) {
    return;
  }
  const DenseKeys keys = {key_starts[segment]};
  attend(row_of(q, row, q_stride) + head * width, k + kv_head * width, k_stride,
         v + kv_head * width, v_stride, keys, key_starts[segment + 1] - key_starts[segment], width,
         scale, row_of(out, row, out_stride) + head * width);
}

/**
 * A row at position p sees keys 0 to p of its sequence in the paged cache; one at a negative
 * position becomes zero. Rows outside the segments are not written.
 */
extern "C" __global__ void attention_any_paged(const element* q, int q_stride, const element* keys,
                                               int keys_stride, const element* values,
                                               int values_stride, int block_rows,
                                               const int* block_tables, int tables_stride,
                                               const int* query_starts, int segments,
                                               const int* positions, int group, int width,
                                               float scale, element* out, int out_stride) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int row = blockIdx.x;
  const int head = blockIdx.y;
  const int kv_head = head / group;
  const int segment = segment_of(query_starts, segments, row);
  if (segment < 0) {
    return;
  }
  const PagedKeys paged = {row_of(block_tables, segment, tables_stride), block_rows};
  attend(row_of(q, row, q_stride) + head * width, keys + kv_head * width, keys_stride,
         values + kv_head * width, values_stride, paged, positions[row] + 1, width, scale,
         row_of(out, row, out_stride) + head * width);
}
