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
// Two warpgroups own 64 rows of queries each and share tiles of keys and values. A warpgroup begins
// the scores of a tile and, behind them, the values of the tile before, whose weights it has in
// registers; while both are multiplied it asks for tiles to come, and while the values are it turns
// the scores into weights. So keys are copied a tile further ahead than values: a barrier of the
// block after each tile says that the next keys and this tile's values are there, and that the
// places of the last ones are free.
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
  /** Of the tile after that of `weights`. */
  float scores[KEYS / 2];
  /** Fragments of four for each 16 keys. */
  u32 weights[KEYS / 4];
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

  /**
   * A piece of every `ROWS_APART`-th row of a tile of keys or values; those from `end` on are
   * zeros.
   */
  template <int ROWS_APART, typename Keys>
  __device__ __forceinline__ void load_column(char* slots, const element* source, int stride,
                                              Keys keys, int tile, int end, int row, int piece) {
    const char* column = (const char*)(source + piece * VECTOR);
    const u32 row_bytes = (u32)stride * 2;
    char* target = slots + tile % 2 * TILE_BYTES + place(row, piece, KEYS);
#pragma unroll
    for (int i = 0; i < KEYS; i += ROWS_APART) {
      const int key = tile * KEYS + row + i;
      const u64 from = (u32)keys.row(min(key, end - 1));
      // Rows a multiple of 8 apart have their pieces in the same places.
      copy_async(target + i * PANEL_ROW_BYTES, column + from * row_bytes, key < end);
    }
  }

  template <typename Keys>
  __device__ __forceinline__ void load_tile(char* slots, const element* source, int stride,
                                            Keys keys, int tile, int end) {
    constexpr int LANES = PIECES / 8 * 8;
    load_column<THREADS / LANES>(slots, source, stride, keys, tile, end, threadIdx.x / LANES,
                                 threadIdx.x % LANES);
#pragma unroll
    for (int piece = LANES; piece < PIECES; piece++) {
      if (threadIdx.x < KEYS) {
        load_column<KEYS>(slots, source, stride, keys, tile, end, threadIdx.x, piece);
      }
    }
  }

  /** Asks for the values of a tile and the keys of the next, as far as there are any. */
  template <typename Keys>
  __device__ __forceinline__ void load_values_and_next_keys(Keys keys, int tile, int end) {
    if (tile * KEYS < end) {
      load_tile(v, in.v, in.v_stride, keys, tile, end);
    }
    if ((tile + 1) * KEYS < end) {
      load_tile(k, in.k, in.k_stride, keys, tile + 1, end);
    }
    commit_copies();
  }

  /**
   * Until all but `PENDING` groups of copies are there for all threads, and all have done with the
   * tiles of which they waited for the products.
   */
  template <int PENDING>
  __device__ __forceinline__ void meet() {
    wait_for_copies<PENDING>();
    publish_to_products();
    wait_for_block<THREADS>();
  }

  __device__ __forceinline__ void begin_products() {
    hold_registers<KEYS / 2>(scores);
    hold_registers<WIDTH / 2>(sums);
    hold_registers<KEYS / 4>(weights);
    start_products();
  }

  /** Begins the scores of a tile, as a group of products. */
  __device__ __forceinline__ void multiply_keys(int tile) {
    const char* queries = q + threadIdx.x / WARPGROUP * QUERY_BYTES;
    const char* k_tile = k + tile % 2 * TILE_BYTES;
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
      const int column_bytes = s % 4 * 32;
      multiply_shared<KEYS>(
          scores, describe(queries + s / 4 * GROUP_ROWS * PANEL_ROW_BYTES + column_bytes, 0),
          describe(k_tile + s / 4 * TILE_PANEL_BYTES + column_bytes, 0), s > 0);
    }
    commit_products();
  }

  /** Begins to add the values of a tile by `weights`, as a group of products. */
  __device__ __forceinline__ void multiply_values(int tile) {
    const char* v_tile = v + tile % 2 * TILE_BYTES;
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++) {
      multiply_registers<WIDTH>(sums, weights + s * 4,
                                describe(v_tile + s * 16 * PANEL_ROW_BYTES, TILE_PANEL_BYTES));
    }
    commit_products();
  }

  /** Until `sums` and `weights` are free again. */
  __device__ __forceinline__ void finish_values() {
    wait_for_products<0>();
    hold_registers<WIDTH / 2>(sums);
    hold_registers<KEYS / 4>(weights);
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

  /**
   * Turns scores into weights. Touches no sums, whose product may be under way.
   *
   * @param keep by what the sums of both rows must be multiplied before these weights count
   */
  __device__ __forceinline__ void weigh(float keep[2]) {
    const float factor = in.scale * LOG2_E;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float top = minus_infinity();
#pragma unroll
      for (int i = 0; i < KEYS / 4; i++) {
        top = fmaxf(top, scores[i / 2 * 4 + 2 * h + i % 2]);
      }
      const float of_tile = max_over_pairs(top) * factor;
      keep[h] = 1.0f;
      if (of_tile > tops[h] + HEADROOM) {
        // 0 where the row has seen no key before.
        keep[h] = exp2_approximate(tops[h] - of_tile);
        tops[h] = of_tile;
      }
      totals[h] *= keep[h];
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

  /** Waits for the values under way and multiplies the sums by `keep` where that is not 1. */
  __device__ __forceinline__ void finish_and_rescale(const float keep[2]) {
    // ptxas moves a wait up as far as its block of instructions goes, there before all of `weigh`.
    // Each branch therefore has its own, and as waits are a warpgroup's, all of it takes the same.
    const bool is_raised = keep[0] != 1.0f || keep[1] != 1.0f;
    if (any_of_warpgroup(1 + threadIdx.x / WARPGROUP, is_raised)) {
      finish_values();
#pragma unroll
      for (int i = 0; i < WIDTH / 2; i++) {
        sums[i] *= keep[i / 2 % 2];
      }
    } else {
      finish_values();
    }
  }

  __device__ __forceinline__ void pack_weights() {
#pragma unroll
    for (int i = 0; i < KEYS / 4; i++) {
      weights[i] = pack2(scores[2 * i], scores[2 * i + 1]);
    }
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
    const int own_tiles = (most + KEYS - 1) / KEYS;
    auto weigh_tile = [&](int tile, float keep[2]) {
      hold_registers<KEYS / 2>(scores);
      if ((tile + 1) * KEYS > least) {
        mask(tile * KEYS, seen_by);
      }
      weigh(keep);
      // Not later: while values are multiplied.
      hold_registers<KEYS / 2>(scores);
    };
    float keep[2];
    if (tiles > 0) {
      clear_padding();
      load_queries();
      load_tile(k, in.k, in.k_stride, keys, 0, most_of_block);
      commit_copies();
      load_values_and_next_keys(keys, 0, most_of_block);
      meet<1>();
      if (own_tiles > 0) {
        begin_products();
        multiply_keys(0);
        wait_for_products<0>();
        weigh_tile(0, keep);
        pack_weights();
      }
    }
    int tile = 0;
    for (; tile + 1 < own_tiles; tile++) {
      // Keys of the next tile and values of this.
      meet<0>();
      begin_products();
      multiply_keys(tile + 1);
      multiply_values(tile);
      load_values_and_next_keys(keys, tile + 1, most_of_block);
      wait_for_products<1>();
      weigh_tile(tile + 1, keep);
      finish_and_rescale(keep);
      pack_weights();
    }
    if (tile < own_tiles) {
      meet<0>();
      begin_products();
      multiply_values(tile);
      load_values_and_next_keys(keys, tile + 1, most_of_block);
      finish_values();
      tile++;
    }
    // What only the other warpgroup has still to see is copied by both.
    for (; tile < tiles; tile++) {
      meet<0>();
      load_values_and_next_keys(keys, tile + 1, most_of_block);
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
