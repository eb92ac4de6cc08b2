// Attention of many rows: a block walks over the keys with a tile of queries of one head.
//
// Each of the 4 warps owns 16 or 32 rows of queries. With 32, a fragment of K or V that is read
// from shared memory serves two products, and the tensor cores are the limit; with 16, shared
// memory is. Tiles of 64 keys arrive by asynchronous copies, one tile ahead, one barrier a tile.
// Rows in shared memory lie an odd number of 16-byte pieces apart, so that the 8 rows of a fragment
// lie in different banks.
//
// The maximum to which a row's weights refer is raised only when a score passes it by more than
// 2^8: it cancels out in the end, and until then no sums have to be rescaled.
#pragma once
#include "attention.cuh"

constexpr int THREADS = 128;
constexpr int WARPS = THREADS / WARP;
constexpr int KEYS = 64;
constexpr int KEY_TILES = KEYS / 8;
/** By how much, as a power of two, weights may exceed 1. */
constexpr float HEADROOM = 8.0f;

/** Queries, keys, values and output, from the first column of the head on. */
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

/** ROW_TILES: sets of 16 rows that each warp owns. */
template <int WIDTH, int ROW_TILES>
struct Prefill {
  static constexpr int ROWS = WARPS * 16 * ROW_TILES;
  static constexpr int STEPS = (WIDTH + 15) / 16;
  static constexpr int PADDED = STEPS * 16;
  static constexpr int STRIDE = PADDED / VECTOR % 2 == 0 ? PADDED + VECTOR : PADDED;
  static constexpr int PIECES = WIDTH / VECTOR;
  static constexpr int COLUMN_TILES = WIDTH / 8;
  static constexpr int TILE = KEYS * STRIDE;
  static constexpr int SHARED_BYTES = (ROWS * STRIDE + 4 * TILE) * 2;
  /** Whether a warp keeps its queries in registers. */
  static constexpr bool HOLD_QUERIES = STEPS * ROW_TILES <= 10;
  static constexpr int HELD = HOLD_QUERIES ? STEPS : 1;

  const HeadViews& in;
  element* q;
  element* k;
  element* v;
  int warp, lane;
  /** Queries of this block: rows of q and out from `first_row` on. */
  int first_row, rows;

  float sums[ROW_TILES][COLUMN_TILES][4];
  /** Of rows lane / 4 and that + 8; totals of this lane's keys only. */
  float tops[ROW_TILES][2];
  float totals[ROW_TILES][2];
  u32 held[HELD][ROW_TILES][4];

  __device__ __forceinline__ Prefill(const HeadViews& views, int first, int count)
      : in(views), first_row(first), rows(count) {
    extern __shared__ uint4 shared[];
    q = (element*)shared;
    k = q + ROWS * STRIDE;
    v = k + 2 * TILE;
    warp = threadIdx.x / WARP;
    lane = threadIdx.x % WARP;
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        tops[r][h] = minus_infinity();
        totals[r][h] = 0.0f;
      }
#pragma unroll
      for (int c = 0; c < COLUMN_TILES; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          sums[r][c][i] = 0.0f;
        }
      }
    }
  }

  /** Row of the block's tile that this lane owns. */
  __device__ __forceinline__ int own_row(int row_tile, int half) const {
    return (warp * ROW_TILES + row_tile) * 16 + half * 8 + lane / 4;
  }

  /** Zeros in the columns that only round the width up. */
  __device__ __forceinline__ void clear_padding() {
    if (PADDED > WIDTH) {
      // Queries and both tiles of keys follow one another; values need none.
      for (int i = threadIdx.x; i < ROWS + 2 * KEYS; i += THREADS) {
        *(uint4*)(q + i * STRIDE + WIDTH) = make_uint4(0, 0, 0, 0);
      }
    }
  }

  __device__ __forceinline__ void load_queries() {
#pragma unroll 4
    for (int i = threadIdx.x; i < ROWS * PIECES; i += THREADS) {
      const int row = i / PIECES;
      const int column = i % PIECES * VECTOR;
      copy_async(q + row * STRIDE + column,
                 row_of(in.q, first_row + min(row, rows - 1), in.q_stride) + column, row < rows);
    }
  }

  /**
   * A piece of 16 bytes of every `ROWS_APART`-th key and value of a tile, from `row` on; those from
   * `end` on are zeros.
   */
  template <int ROWS_APART, typename Keys>
  __device__ __forceinline__ void load_column(Keys keys, int tile, int end, int row, int column) {
    element* target = k + tile % 2 * TILE + row * STRIDE + column;
    // In bytes, so that an address is one multiplication and addition.
    const char* k_column = (const char*)(in.k + column);
    const char* v_column = (const char*)(in.v + column);
    const int k_bytes = in.k_stride * 2;
    const int v_bytes = in.v_stride * 2;
    // More at a time would cost registers that the products need.
#pragma unroll 4
    for (int i = 0; i < KEYS; i += ROWS_APART) {
      const int key = tile * KEYS + row + i;
      const long long source = keys.row(min(key, end - 1));
      copy_async(target + i * STRIDE, k_column + source * k_bytes, key < end);
      copy_async(target + i * STRIDE + 2 * TILE, v_column + source * v_bytes, key < end);
    }
  }

  template <typename Keys>
  __device__ __forceinline__ void load_tile(Keys keys, int tile, int end) {
    constexpr int LANES = PIECES / 8 * 8;
    load_column<THREADS / LANES>(keys, tile, end, threadIdx.x / LANES,
                                 threadIdx.x % LANES * VECTOR);
    // The pieces beyond a multiple of eight.
#pragma unroll
    for (int piece = LANES; piece < PIECES; piece++) {
      if (threadIdx.x < KEYS) {
        load_column<KEYS>(keys, tile, end, threadIdx.x, piece * VECTOR);
      }
    }
  }

  __device__ __forceinline__ void query_fragment(int row_tile, int step, u32 a[4]) const {
    const int row = (warp * ROW_TILES + row_tile) * 16 + lane % 16;
    const uint4 tiles = load_tiles(q + row * STRIDE + step * 16 + lane / 16 * 8);
    a[0] = tiles.x;
    a[1] = tiles.y;
    a[2] = tiles.z;
    a[3] = tiles.w;
  }

  __device__ __forceinline__ void hold_queries() {
#pragma unroll
    for (int s = 0; s < HELD; s++) {
#pragma unroll
      for (int r = 0; r < ROW_TILES; r++) {
        query_fragment(r, s, held[s][r]);
      }
    }
  }

  __device__ __forceinline__ void multiply_keys(const element* k_tile,
                                                float scores[ROW_TILES][KEY_TILES][4]) {
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int n = 0; n < KEY_TILES; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          scores[r][n][i] = 0.0f;
        }
      }
    }
    const element* at = k_tile + (lane % 8 + lane / 16 * 8) * STRIDE + lane / 8 % 2 * 8;
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
      u32 a[ROW_TILES][4];
#pragma unroll
      for (int r = 0; r < ROW_TILES; r++) {
        if (HOLD_QUERIES) {
#pragma unroll
          for (int i = 0; i < 4; i++) {
            a[r][i] = held[HOLD_QUERIES ? s : 0][r][i];
          }
        } else {
          query_fragment(r, s, a[r]);
        }
      }
#pragma unroll
      for (int n = 0; n < KEY_TILES; n += 2) {
        const uint4 b = load_tiles(at + n * 8 * STRIDE + s * 16);
#pragma unroll
        for (int r = 0; r < ROW_TILES; r++) {
          mma_accumulate(scores[r][n], a[r][0], a[r][1], a[r][2], a[r][3], b.x, b.y);
          mma_accumulate(scores[r][n + 1], a[r][0], a[r][1], a[r][2], a[r][3], b.z, b.w);
        }
      }
    }
  }

  /** Minus infinity for keys that a row does not see. */
  template <typename SeenBy>
  __device__ __forceinline__ void mask(int first_key, SeenBy seen_by,
                                       float scores[ROW_TILES][KEY_TILES][4]) const {
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        // Asked again for the few tiles that need it, rather than kept in registers.
        const int end = seen_by(own_row(r, h)) - first_key - lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < KEY_TILES; n++) {
#pragma unroll
          for (int i = 0; i < 2; i++) {
            if (n * 8 + i >= end) {
              scores[r][n][2 * h + i] = minus_infinity();
            }
          }
        }
      }
    }
  }

  /** Turns scores into weights, and what was summed so far to a new maximum where it must be. */
  __device__ __forceinline__ void weigh(float scores[ROW_TILES][KEY_TILES][4]) {
    const float factor = in.scale * LOG2_E;
    float of_tile[ROW_TILES][2];
    bool raise = false;
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float top = minus_infinity();
#pragma unroll
        for (int n = 0; n < KEY_TILES; n++) {
          top = fmaxf(top, fmaxf(scores[r][n][2 * h], scores[r][n][2 * h + 1]));
        }
        of_tile[r][h] = max_over_pairs(top) * factor;
        raise |= of_tile[r][h] > tops[r][h] + HEADROOM;
      }
    }
    if (__any_sync(FULL_WARP, raise)) {
#pragma unroll
      for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          const float top = fmaxf(tops[r][h], of_tile[r][h]);
          // Nothing has been summed while a row has seen no key.
          const float keep =
              tops[r][h] == minus_infinity() ? 0.0f : exp2_approximate(tops[r][h] - top);
          tops[r][h] = top;
          totals[r][h] *= keep;
#pragma unroll
          for (int c = 0; c < COLUMN_TILES; c++) {
            sums[r][c][2 * h] *= keep;
            sums[r][c][2 * h + 1] *= keep;
          }
        }
      }
    }
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float top = tops[r][h] == minus_infinity() ? 0.0f : tops[r][h];
        float total = 0.0f;
#pragma unroll
        for (int n = 0; n < KEY_TILES; n++) {
#pragma unroll
          for (int i = 2 * h; i < 2 * h + 2; i++) {
            scores[r][n][i] = exp2_approximate(scores[r][n][i] * factor - top);
            total += scores[r][n][i];
          }
        }
        totals[r][h] += total;
      }
    }
  }

  __device__ __forceinline__ void multiply_values(const element* v_tile,
                                                  float scores[ROW_TILES][KEY_TILES][4]) {
    const element* at = v_tile + lane % 16 * STRIDE + lane / 16 * 8;
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++) {
      u32 a[ROW_TILES][4];
#pragma unroll
      for (int r = 0; r < ROW_TILES; r++) {
        const float* low = scores[r][2 * s];
        const float* high = scores[r][2 * s + 1];
        a[r][0] = pack2(low[0], low[1]);
        a[r][1] = pack2(low[2], low[3]);
        a[r][2] = pack2(high[0], high[1]);
        a[r][3] = pack2(high[2], high[3]);
      }
#pragma unroll
      for (int c = 0; c < COLUMN_TILES; c += 2) {
        const uint4 b = load_tiles_transposed(at + s * 16 * STRIDE + c * 8);
#pragma unroll
        for (int r = 0; r < ROW_TILES; r++) {
          mma_accumulate(sums[r][c], a[r][0], a[r][1], a[r][2], a[r][3], b.x, b.y);
          if (c + 1 < COLUMN_TILES) {
            mma_accumulate(sums[r][c + 1 < COLUMN_TILES ? c + 1 : c], a[r][0], a[r][1], a[r][2],
                           a[r][3], b.z, b.w);
          }
        }
      }
    }
  }

  __device__ __forceinline__ void store() const {
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float total = sum_over_pairs(totals[r][h]);
        const float factor = total > 0.0f ? 1.0f / total : 0.0f;
        const int row = own_row(r, h);
        if (row < rows) {
          element* target = row_of(in.out, first_row + row, in.out_stride) + lane % 4 * 2;
#pragma unroll
          for (int c = 0; c < COLUMN_TILES; c++) {
            *(u32*)(target + c * 8) =
                pack2(sums[r][c][2 * h] * factor, sums[r][c][2 * h + 1] * factor);
          }
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
    // Every warp looks at all rows: how far the block goes needs no barrier then.
    int most_of_block = 0;
    for (int row = lane; row < ROWS; row += WARP) {
      most_of_block = max(most_of_block, seen_by(row));
    }
    int most = 0;
    int least = 0x7fffffff;
#pragma unroll
    for (int r = 0; r < ROW_TILES; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int seen = seen_by(own_row(r, h));
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
      // The tile is there for all, and all have done with the one before it.
      __syncthreads();
      if (tile + 1 < tiles) {
        load_tile(keys, tile + 1, most_of_block);
        commit_copies();
      }
      if (HOLD_QUERIES && tile == 0) {
        hold_queries();
      }
      if (tile * KEYS < most) {
        float scores[ROW_TILES][KEY_TILES][4];
        multiply_keys(k + tile % 2 * TILE, scores);
        if ((tile + 1) * KEYS > least) {
          mask(tile * KEYS, seen_by, scores);
        }
        weigh(scores);
        multiply_values(v + tile % 2 * TILE, scores);
      }
    }
    store();
  }
};
