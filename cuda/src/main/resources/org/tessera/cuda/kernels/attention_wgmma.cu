// Attention of many rows with the warpgroup products of Hopper; attention_prefill.cu for others.
//
// Only for sm_90a: compiled for another architecture this file has no entry points.
//
// Launch of every entry point:
//   grid     (query heads, ceil(rows of the longest segment of queries / 128), segments); blocks
//            past the end of their segment return at once
//   block    256
//   dynamic shared bytes (the function's limit must be raised first):
//              attention_wgmma_w72           99,328
//              attention_wgmma_w128         164,864
//              attention_wgmma_paged_w128   164,864
//   alignment, arguments and results: as the entry points of attention_prefill.cu without `wgmma`
//
// Two warpgroups own 64 rows of queries each and share tiles of keys, which arrive by asynchronous
// copies one tile ahead. While one turns scores into weights the other multiplies.
#include "attention.cuh"

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#include "wgmma.cuh"

constexpr int WARPGROUP = 128;
constexpr int THREADS = 2 * WARPGROUP;
constexpr int GROUP_ROWS = 64;
constexpr int ROWS = 2 * GROUP_ROWS;
/** Panels start at multiples of this. */
constexpr int PANEL_ALIGNMENT = 1024;
/** By how much, as a power of two, weights may exceed 1. */
constexpr float HEADROOM = 8.0f;

template <int KEYS>
__device__ __forceinline__ void multiply_shared(float* d, u64 a, u64 b, int accumulate) {
  if constexpr (KEYS == 64) {
    wgmma_shared_n64(d, a, b, accumulate);
  } else {
    wgmma_shared_n128(d, a, b, accumulate);
  }
}

template <int WIDTH>
__device__ __forceinline__ void multiply_registers(float* d, const u32* a, u64 b) {
  if constexpr (WIDTH == 72) {
    wgmma_registers_n72(d, a, b);
  } else {
    wgmma_registers_n128(d, a, b);
  }
}

struct HeadViews {
  const element* q;
  int q_stride;
  const element* k;
  int k_stride;
  const element* v;
  int v_stride;
  element* out;
  int out_stride;
  float scale;
};

/** KEYS: keys in a tile. */
template <int WIDTH, int KEYS>
struct Attention {
  static constexpr int STEPS = (WIDTH + 15) / 16;
  static constexpr int PANELS = (WIDTH + PANEL - 1) / PANEL;
  static constexpr int PIECES = WIDTH / VECTOR;
  static constexpr int QUERY_BYTES = PANELS * GROUP_ROWS * PANEL_ROW_BYTES;
  static constexpr int TILE_PANEL_BYTES = KEYS * PANEL_ROW_BYTES;
  static constexpr int TILE_BYTES = PANELS * TILE_PANEL_BYTES;

  const HeadViews& in;
  /** Queries of both warpgroups, two tiles of keys, two of values. */
  char* q;
  char* k;
  char* v;
  int lane;
  int first_row, rows;
  /** The first of the rows of this warp. */
  int warp_row;

  float sums[WIDTH / 2];
  float scores[KEYS / 2];
  /** Of rows lane / 4 and that + 8; totals of this lane's keys only. */
  float tops[2];
  float totals[2];

  __device__ __forceinline__ Attention(const HeadViews& views, int first, int count)
      : in(views), first_row(first), rows(count) {
    extern __shared__ uint4 shared[];
    const u32 offset = (u32)__cvta_generic_to_shared(shared) % PANEL_ALIGNMENT;
    q = (char*)shared + (PANEL_ALIGNMENT - offset) % PANEL_ALIGNMENT;
    k = q + 2 * QUERY_BYTES;
    v = k + 2 * TILE_BYTES;
    lane = threadIdx.x % WARP;
    warp_row = threadIdx.x / WARP * 16;
#pragma unroll
    for (int i = 0; i < WIDTH / 2; i++) {
      sums[i] = 0.0f;
    }
    tops[0] = tops[1] = minus_infinity();
    totals[0] = totals[1] = 0.0f;
  }

  /** Where a piece of 16 bytes lies in panels of `panel_rows` rows. */
  static __device__ __forceinline__ int place(int row, int piece, int panel_rows) {
    return piece / 8 * panel_rows * PANEL_ROW_BYTES + swizzled(row, piece % 8);
  }

  /** Zeros in the columns that only round the width up to a step. */
  __device__ __forceinline__ void clear_padding() {
    if (STEPS * 16 > WIDTH) {
      for (int row = threadIdx.x; row < ROWS; row += THREADS) {
        char* group = q + row / GROUP_ROWS * QUERY_BYTES;
        *(uint4*)(group + place(row % GROUP_ROWS, PIECES, GROUP_ROWS)) = make_uint4(0, 0, 0, 0);
      }
      for (int row = threadIdx.x; row < 2 * KEYS; row += THREADS) {
        char* tile = k + row / KEYS * TILE_BYTES;
        *(uint4*)(tile + place(row % KEYS, PIECES, KEYS)) = make_uint4(0, 0, 0, 0);
      }
    }
  }

  __device__ __forceinline__ void load_queries() {
#pragma unroll 4
    for (int i = threadIdx.x; i < ROWS * PIECES; i += THREADS) {
      const int row = i / PIECES;
      const int piece = i % PIECES;
      char* group = q + row / GROUP_ROWS * QUERY_BYTES;
      copy_async(group + place(row % GROUP_ROWS, piece, GROUP_ROWS),
                 row_of(in.q, first_row + min(row, rows - 1), in.q_stride) + piece * VECTOR,
                 row < rows);
    }
  }

  /** A piece of every `ROWS_APART`-th key and value of a tile; those from `end` on are zeros. */
  template <int ROWS_APART, typename Keys>
  __device__ __forceinline__ void load_column(Keys keys, int tile, int end, int row, int piece) {
    const char* k_column = (const char*)(in.k + piece * VECTOR);
    const char* v_column = (const char*)(in.v + piece * VECTOR);
    const int k_bytes = in.k_stride * 2;
    const int v_bytes = in.v_stride * 2;
    const int target = tile % 2 * TILE_BYTES + place(row, piece, KEYS);
#pragma unroll 4
    for (int i = 0; i < KEYS; i += ROWS_APART) {
      const int key = tile * KEYS + row + i;
      const long long source = keys.row(min(key, end - 1));
      // Rows a multiple of 8 apart have their pieces in the same places.
      copy_async(k + target + i * PANEL_ROW_BYTES, k_column + source * k_bytes, key < end);
      copy_async(v + target + i * PANEL_ROW_BYTES, v_column + source * v_bytes, key < end);
    }
  }

  template <typename Keys>
  __device__ __forceinline__ void load_tile(Keys keys, int tile, int end) {
    constexpr int LANES = PIECES / 8 * 8;
    load_column<THREADS / LANES>(keys, tile, end, threadIdx.x / LANES, threadIdx.x % LANES);
#pragma unroll
    for (int piece = LANES; piece < PIECES; piece++) {
      if (threadIdx.x < KEYS) {
        load_column<KEYS>(keys, tile, end, threadIdx.x, piece);
      }
    }
  }

  __device__ __forceinline__ void multiply_keys(const char* k_tile) {
    const char* queries = q + threadIdx.x / WARPGROUP * QUERY_BYTES;
    hold_registers<KEYS / 2>(scores);
    start_products();
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
      const int column_bytes = s % 4 * 32;
      multiply_shared<KEYS>(
          scores, describe(queries + s / 4 * GROUP_ROWS * PANEL_ROW_BYTES + column_bytes, 0),
          describe(k_tile + s / 4 * TILE_PANEL_BYTES + column_bytes, 0), s > 0);
    }
    finish_products();
    hold_registers<KEYS / 2>(scores);
  }

  template <typename SeenBy>
  __device__ __forceinline__ void mask(int first_key, SeenBy seen_by) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int end = seen_by(warp_row + h * 8 + lane / 4) - first_key - lane % 4 * 2;
#pragma unroll
      for (int i = 0; i < KEYS / 4; i++) {
        if (i / 2 * 8 + i % 2 >= end) {
          scores[i / 2 * 4 + 2 * h + i % 2] = minus_infinity();
        }
      }
    }
  }

  /** Turns scores into weights, and what was summed so far to a new maximum where it must be. */
  __device__ __forceinline__ void weigh() {
    const float factor = in.scale * LOG2_E;
    float of_tile[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float top = minus_infinity();
#pragma unroll
      for (int i = 0; i < KEYS / 4; i++) {
        top = fmaxf(top, scores[i / 2 * 4 + 2 * h + i % 2]);
      }
      of_tile[h] = max_over_pairs(top) * factor;
    }
    if (__any_sync(FULL_WARP, of_tile[0] > tops[0] + HEADROOM || of_tile[1] > tops[1] + HEADROOM)) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float top = fmaxf(tops[h], of_tile[h]);
        // Nothing has been summed while a row has seen no key.
        const float keep = tops[h] == minus_infinity() ? 0.0f : exp2_approximate(tops[h] - top);
        tops[h] = top;
        totals[h] *= keep;
#pragma unroll
        for (int i = 0; i < WIDTH / 4; i++) {
          sums[i / 2 * 4 + 2 * h + i % 2] *= keep;
        }
      }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float top = tops[h] == minus_infinity() ? 0.0f : tops[h];
#pragma unroll
      for (int i = 0; i < KEYS / 4; i++) {
        float& score = scores[i / 2 * 4 + 2 * h + i % 2];
        score = exp2_approximate(score * factor - top);
        totals[h] += score;
      }
    }
  }

  __device__ __forceinline__ void multiply_values(const char* v_tile) {
    u32 weights[KEYS / 16][4];
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        weights[s][i] = pack2(scores[s * 8 + 2 * i], scores[s * 8 + 2 * i + 1]);
      }
    }
    hold_registers<WIDTH / 2>(sums);
    start_products();
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++) {
      multiply_registers<WIDTH>(sums, weights[s],
                                describe(v_tile + s * 16 * PANEL_ROW_BYTES, TILE_PANEL_BYTES));
    }
    finish_products();
    hold_registers<WIDTH / 2>(sums);
  }

  __device__ __forceinline__ void store() const {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float total = sum_over_pairs(totals[h]);
      const float factor = total > 0.0f ? 1.0f / total : 0.0f;
      const int row = warp_row + h * 8 + lane / 4;
      if (row < rows) {
        element* target = row_of(in.out, first_row + row, in.out_stride) + lane % 4 * 2;
#pragma unroll
        for (int c = 0; c < WIDTH / 8; c++) {
          *(u32*)(target + c * 8) =
              pack2(sums[c * 4 + 2 * h] * factor, sums[c * 4 + 2 * h + 1] * factor);
        }
      }
    }
  }

  /**
   * @param seen_by_row row of the block's tile, below `rows`, to the number of keys that it sees
   */
  template <typename Keys, typename SeenByRow>
  __device__ __forceinline__ void run(Keys keys, SeenByRow seen_by_row) {
    auto seen_by = [&](int row) { return row < rows ? seen_by_row(row) : 0; };
    // All threads of a warpgroup must take part in a product: bounds are those of the warpgroup.
    const int group_row = threadIdx.x / WARPGROUP * GROUP_ROWS;
    int most_of_block = 0;
    int most = 0;
    int least = 0x7fffffff;
    for (int row = lane; row < ROWS; row += WARP) {
      const int seen = seen_by(row);
      most_of_block = max(most_of_block, seen);
      if (row / GROUP_ROWS * GROUP_ROWS == group_row) {
        most = max(most, seen);
        least = min(least, seen);
      }
    }
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
      most_of_block = max(most_of_block, __shfl_xor_sync(FULL_WARP, most_of_block, offset));
      most = max(most, __shfl_xor_sync(FULL_WARP, most, offset));
      least = min(least, __shfl_xor_sync(FULL_WARP, least, offset));
    }
    const int tiles = (most_of_block + KEYS - 1) / KEYS;
    if (tiles > 0) {
      clear_padding();
      load_queries();
      load_tile(keys, 0, most_of_block);
      commit_copies();
    }
    for (int tile = 0; tile < tiles; tile++) {
      wait_for_copies<0>();
      publish_to_products();
      // The tile is there for all, and all have done with the one before it.
      __syncthreads();
      if (tile + 1 < tiles) {
        load_tile(keys, tile + 1, most_of_block);
        commit_copies();
      }
      if (tile * KEYS < most) {
        multiply_keys(k + tile % 2 * TILE_BYTES);
        if ((tile + 1) * KEYS > least) {
          mask(tile * KEYS, seen_by);
        }
        weigh();
        multiply_values(v + tile % 2 * TILE_BYTES);
      }
    }
    store();
  }
};

template <int WIDTH>
__device__ __forceinline__ HeadViews of_head(const element* q, int q_stride, const element* k,
                                             int k_stride, const element* v, int v_stride,
                                             element* out, int out_stride, int group,
                                             float scale) {
  const int head = blockIdx.x;
  const int kv_head = head / group;
  return {q + head * WIDTH,    q_stride, k + kv_head * WIDTH, k_stride,
          v + kv_head * WIDTH, v_stride, out + head * WIDTH,  out_stride,
          scale};
}

#define ATTENTION_WGMMA(NAME, WIDTH, KEYS, BLOCKS_PER_SM)                                         \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM) NAME(                      \
      const element* q, int q_stride, const element* k, int k_stride, const element* v,           \
      int v_stride, const int* query_starts, const int* key_starts, int group, float scale,       \
      element* out, int out_stride) {                                                             \
    wait_for_previous_kernel();                                                                   \
    start_next_kernel();                                                                          \
    const int first = query_starts[blockIdx.z] + blockIdx.y * ROWS;                               \
    const int rows = min(query_starts[blockIdx.z + 1] - first, ROWS);                             \
    if (rows <= 0) {                                                                              \
      return;                                                                                     \
    }                                                                                             \
    const HeadViews views = of_head<WIDTH>(q, q_stride, k, k_stride, v, v_stride, out,            \
                                           out_stride, group, scale);                             \
    const DenseKeys keys = {key_starts[blockIdx.z]};                                              \
    const int seen = key_starts[blockIdx.z + 1] - keys.first;                                     \
    Attention<WIDTH, KEYS> attention(views, first, rows);                                         \
    attention.run(keys, [=](int row) { return seen; });                                           \
  }

ATTENTION_WGMMA(attention_wgmma_w72, 72, 64, 2)
ATTENTION_WGMMA(attention_wgmma_w128, 128, 128, 1)

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_wgmma_paged_w128(
    const element* q, int q_stride, const element* keys, int keys_stride, const element* values,
    int values_stride, int block_shift, const int* block_tables, int tables_stride,
    const int* query_starts, const int* positions, int group, float scale, element* out,
    int out_stride) {
  wait_for_previous_kernel();
  start_next_kernel();
  // The last tiles see most keys; they start first.
  const int tile = gridDim.y - 1 - blockIdx.y;
  const int first = query_starts[blockIdx.z] + tile * ROWS;
  const int rows = min(query_starts[blockIdx.z + 1] - first, ROWS);
  if (rows <= 0) {
    return;
  }
  const HeadViews views = of_head<128>(q, q_stride, keys, keys_stride, values, values_stride, out,
                                       out_stride, group, scale);
  const ShiftedKeys paged = {row_of(block_tables, blockIdx.z, tables_stride), block_shift};
  Attention<128, 128> attention(views, first, rows);
  attention.run(paged, [=](int row) { return max(positions[first + row] + 1, 0); });
}

#endif
