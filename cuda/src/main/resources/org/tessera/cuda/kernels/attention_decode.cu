// Attention of few new rows over the paged cache, at the speed at which keys and values are read.
//
// Launch of every entry point:
//   grid     (splits, key/value heads, rows), splits from 1 to 64
//   block    128, no dynamic shared memory
//   choice   attention_decode_w{WIDTH}_g{8|16}: head width 64 or 128, up to 8 or up to 16 query
//            heads for each key/value head (`group`)
//   splits   about 2 * SMs / (key/value heads * rows), at least 1; it only bounds into how many
//            blocks a context is cut. How many of them work follows from the position of the row,
//            so that one captured launch serves every context length.
//   min_keys keys for which another block is worth it: a multiple of 16, 64 unless measured
//   workspace  decode_workspace_bytes = rows * query heads * splits * (WIDTH + 2) * 4, aligned to
//              16 bytes; nothing where splits is 1
//   counters   rows * key/value heads u32, zero before the first launch; each launch leaves zeros
//   alignment  q, keys, values: 16 bytes, their strides multiples of 8 elements; out: 4 bytes,
//              stride even
//   block_shift  a block of the cache has 1 << block_shift rows, at least 16
// With programmatic dependent launch, query_starts, positions and block_tables are read before the
// wait. They must be complete when the previous kernel passes its own wait, and that kernel may
// let this one start only after that.
//
// A block computes one key/value head of one row, for all query heads of the group. Its 4 warps
// take 16 keys at a time, with no shared memory between cache and tensor cores:
//   scores^T [16 keys, 8 heads] = K q^T. A lane's 16 bytes of a key are fragments of two products
//     as they come, because the order of k is free.
//   out^T [columns, 8 heads] = V^T weights^T. A lane reads 16 bytes of four values; pairs of them,
//     interleaved, are the fragments of V^T, because the order of the columns is free.
// Loads of the next 16 keys start as soon as the registers of the last are used up.
//
// Splits are joined by the block that finishes last, found with a counter: what it reads is in L2,
// and there is neither a second launch nor a limit of the cluster size on the number of splits.
#include "attention.cuh"

constexpr int THREADS = 128;
constexpr int WARPS = THREADS / WARP;
/** Keys that a warp takes at a time. */
constexpr int UNIT = 16;
constexpr int MAX_SPLITS = 64;

struct DecodeArguments {
  const element* q;
  int q_stride;
  const element* keys;
  int keys_stride;
  const element* values;
  int values_stride;
  int block_shift;
  const int* block_tables;
  int tables_stride;
  const int* query_starts;
  int segments;
  const int* positions;
  int group;
  float scale;
  int min_keys;
  float* workspace;
  u32* counters;
  element* out;
  int out_stride;
};

/** TILES: sets of 8 query heads. */
template <int WIDTH, int TILES>
struct Decode {
  static constexpr int HEADS = 8 * TILES;
  /** Loads of 16 bytes that a lane needs for its part of a key, and for its part of a value. */
  static constexpr int KEY_LOADS = WIDTH / 32;
  static constexpr int VALUE_LOADS = WIDTH / 64;
  /** Two more than the width: stores of a warp then meet no bank twice. */
  static constexpr int SUM_STRIDE = WIDTH + 2;

  struct Shared {
    float sums[WARPS][HEADS * SUM_STRIDE];
    float tops[WARPS][HEADS];
    float totals[WARPS][HEADS];
    float weights[HEADS][MAX_SPLITS];
    u32 arrived;
  };

  const DecodeArguments& in;
  Shared& shared;
  int warp, group_lane, pair;
  int row, kv_head, split, splits;
  int seen, first_unit, end_unit;
  ShiftedKeys paged;

  uint4 k[2][KEY_LOADS];
  uint4 v[4][VALUE_LOADS];
  uint4 q[TILES][KEY_LOADS];
  /** By 64 columns, pair of columns, set of heads: columns 8 group + 2 t and the next. */
  float sums[VALUE_LOADS][4][TILES][4];
  /** Of heads 2 pair and 2 pair + 1; totals of this lane's keys only. */
  float tops[TILES][2];
  float totals[TILES][2];

  __device__ __forceinline__ Decode(const DecodeArguments& arguments, Shared& scratch)
      : in(arguments), shared(scratch) {
    warp = threadIdx.x / WARP;
    group_lane = threadIdx.x % WARP / 4;
    pair = threadIdx.x % 4;
    split = blockIdx.x;
    kv_head = blockIdx.y;
    row = blockIdx.z;
    const int segment = in.query_starts == nullptr
                            ? row
                            : segment_of(in.query_starts, in.segments, row);
    seen = segment < 0 ? 0 : max(in.positions[row] + 1, 0);
    paged = {row_of(in.block_tables, max(segment, 0), in.tables_stride), in.block_shift};
    const int units = (seen + UNIT - 1) / UNIT;
    const int most_splits = gridDim.x;
    const int per_split = max((units + most_splits - 1) / most_splits, in.min_keys / UNIT);
    splits = (units + per_split - 1) / per_split;
    first_unit = split * per_split;
    end_unit = min(first_unit + per_split, units);
  }

  /** Row of the cache at which a unit begins. */
  __device__ __forceinline__ int unit_row(int unit) const {
    return paged.row(unit * UNIT);
  }

  /** The last key seen stands for those after it, whose memory may hold anything. */
  __device__ __forceinline__ int clamped(int unit, int key) const {
    return min(key, seen - 1 - unit * UNIT);
  }

  __device__ __forceinline__ void prefetch(int unit) const {
    constexpr int LINES = WIDTH / 64;
    const int first = unit_row(unit);
    for (int i = threadIdx.x % WARP; i < UNIT * LINES; i += WARP) {
      const int key = first + clamped(unit, i / LINES);
      const int column = kv_head * WIDTH + i % LINES * 64;
      prefetch_to_l2(row_of(in.keys, key, in.keys_stride) + column);
      prefetch_to_l2(row_of(in.values, key, in.values_stride) + column);
    }
  }

  __device__ __forceinline__ void load_queries() {
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      const int head = t * 8 + group_lane;
      const element* query =
          row_of(in.q, row, in.q_stride) + (kv_head * in.group + head) * WIDTH + pair * VECTOR;
#pragma unroll
      for (int i = 0; i < KEY_LOADS; i++) {
        q[t][i] = head < in.group ? *(const uint4*)(query + i * 32) : make_uint4(0, 0, 0, 0);
      }
    }
  }

  __device__ __forceinline__ void load_keys(int unit, int first) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int key = first + clamped(unit, half * 8 + group_lane);
      const element* at = row_of(in.keys, key, in.keys_stride) + kv_head * WIDTH + pair * VECTOR;
#pragma unroll
      for (int i = 0; i < KEY_LOADS; i++) {
        k[half][i] = load_streaming(at + i * 32);
      }
    }
  }

  __device__ __forceinline__ void load_values(int unit, int first) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int key = first + clamped(unit, i / 2 * 8 + 2 * pair + i % 2);
      const element* at =
          row_of(in.values, key, in.values_stride) + kv_head * WIDTH + group_lane * VECTOR;
#pragma unroll
      for (int c = 0; c < VALUE_LOADS; c++) {
        v[i][c] = load_streaming(at + c * 64);
      }
    }
  }

  /** Scores of a unit: c0, c1 of key group, c2, c3 of key group + 8. */
  __device__ __forceinline__ void multiply_keys(float scores[TILES][4]) {
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      // Two chains, because each product waits for the one before it.
      float even[4] = {}, odd[4] = {};
#pragma unroll
      for (int i = 0; i < KEY_LOADS; i++) {
        mma_accumulate(even, k[0][i].x, k[1][i].x, k[0][i].y, k[1][i].y, q[t][i].x, q[t][i].y);
        mma_accumulate(odd, k[0][i].z, k[1][i].z, k[0][i].w, k[1][i].w, q[t][i].z, q[t][i].w);
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        scores[t][i] = even[i] + odd[i];
      }
    }
  }

  /** Turns scores into weights, and what was summed so far to the new maximum. */
  __device__ __forceinline__ void weigh(int unit, float scores[TILES][4], u32 weights[TILES][2]) {
    const float factor = in.scale * LOG2_E;
    const int key = unit * UNIT + group_lane;
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      float keep[2];
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float low = key < seen ? scores[t][h] * factor : minus_infinity();
        const float high = key + 8 < seen ? scores[t][2 + h] * factor : minus_infinity();
        const float top = fmaxf(tops[t][h], max_over_groups(fmaxf(low, high)));
        keep[h] = exp2_approximate(tops[t][h] - top);
        tops[t][h] = top;
        scores[t][h] = exp2_approximate(low - top);
        scores[t][2 + h] = exp2_approximate(high - top);
        totals[t][h] = totals[t][h] * keep[h] + scores[t][h] + scores[t][2 + h];
      }
#pragma unroll
      for (int c = 0; c < VALUE_LOADS; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) {
            sums[c][i][t][j] *= keep[j % 2];
          }
        }
      }
      weights[t][0] = transpose_tile(pack2(scores[t][0], scores[t][1]));
      weights[t][1] = transpose_tile(pack2(scores[t][2], scores[t][3]));
    }
  }

  __device__ __forceinline__ void multiply_values(u32 weights[TILES][2]) {
#pragma unroll
    for (int c = 0; c < VALUE_LOADS; c++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        u32 of_key[4];
#pragma unroll
        for (int n = 0; n < 4; n++) {
          const uint4 value = v[n][c];
          of_key[n] = i == 0 ? value.x : i == 1 ? value.y : i == 2 ? value.z : value.w;
        }
        const u32 a0 = __byte_perm(of_key[0], of_key[1], 0x5410);
        const u32 a1 = __byte_perm(of_key[0], of_key[1], 0x7632);
        const u32 a2 = __byte_perm(of_key[2], of_key[3], 0x5410);
        const u32 a3 = __byte_perm(of_key[2], of_key[3], 0x7632);
#pragma unroll
        for (int t = 0; t < TILES; t++) {
          mma_accumulate(sums[c][i][t], a0, a1, a2, a3, weights[t][0], weights[t][1]);
        }
      }
    }
  }

  /** The units of this warp. */
  __device__ __forceinline__ void run() {
#pragma unroll
    for (int t = 0; t < TILES; t++) {
      tops[t][0] = tops[t][1] = minus_infinity();
      totals[t][0] = totals[t][1] = 0.0f;
#pragma unroll
      for (int c = 0; c < VALUE_LOADS; c++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) {
            sums[c][i][t][j] = 0.0f;
          }
        }
      }
    }
    int unit = first_unit + warp;
    if (unit >= end_unit) {
      return;
    }
    int first = unit_row(unit);
    load_keys(unit, first);
    load_values(unit, first);
    load_queries();
    // Read one unit ahead, so that the addresses of the next loads do not wait for it.
    int next_first = unit + WARPS < end_unit ? unit_row(unit + WARPS) : 0;
    while (true) {
      const int next = unit + WARPS;
      const bool more = next < end_unit;
      first = next_first;
      float scores[TILES][4];
      multiply_keys(scores);
      if (more) {
        load_keys(next, first);
        next_first = next + WARPS < end_unit ? unit_row(next + WARPS) : 0;
      }
      u32 weights[TILES][2];
      weigh(unit, scores, weights);
      multiply_values(weights);
      if (!more) {
        return;
      }
      load_values(next, first);
      unit = next;
    }
  }

  /** Puts the sums of this warp where the block finds them. */
  __device__ __forceinline__ void publish() {
#pragma unroll
    for (int t = 0; t < TILES; t++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int head = t * 8 + 2 * pair + h;
        const float total = sum_over_groups(totals[t][h]);
        if (group_lane == 0) {
          shared.tops[warp][head] = tops[t][h];
          shared.totals[warp][head] = total;
        }
        float* target = shared.sums[warp] + head * SUM_STRIDE + group_lane * VECTOR;
#pragma unroll
        for (int c = 0; c < VALUE_LOADS; c++) {
#pragma unroll
          for (int i = 0; i < 4; i++) {
            *(float2*)(target + c * 64 + 2 * i) =
                make_float2(sums[c][i][t][h], sums[c][i][t][2 + h]);
          }
        }
      }
    }
    __syncthreads();
  }

  __device__ __forceinline__ long long part(int index, int head) const {
    return (((long long)row * gridDim.y + kv_head) * gridDim.x + index) * in.group + head;
  }

  /** Maxima and totals follow all sums. */
  __device__ __forceinline__ float2* statistics() const {
    const long long parts = (long long)gridDim.z * gridDim.y * gridDim.x * in.group;
    return (float2*)(in.workspace + parts * WIDTH);
  }

  __device__ __forceinline__ void store(int head, int column, float low, float high) const {
    const int at = (kv_head * in.group + head) * WIDTH + column;
    *(u32*)(row_of(in.out, row, in.out_stride) + at) = pack2(low, high);
  }

  __device__ __forceinline__ void store_zeros() const {
    for (int i = threadIdx.x; i < in.group * (WIDTH / 2); i += THREADS) {
      store(i / (WIDTH / 2), i % (WIDTH / 2) * 2, 0.0f, 0.0f);
    }
  }

  /** Joins the warps; the result where there is one split, else its part of it. */
  __device__ __forceinline__ void join_warps() const {
    for (int i = threadIdx.x; i < in.group * (WIDTH / 2); i += THREADS) {
      const int head = i / (WIDTH / 2);
      const int column = i % (WIDTH / 2) * 2;
      float top = shared.tops[0][head];
#pragma unroll
      for (int w = 1; w < WARPS; w++) {
        top = fmaxf(top, shared.tops[w][head]);
      }
      float total = 0.0f;
      float2 sum = make_float2(0.0f, 0.0f);
#pragma unroll
      for (int w = 0; w < WARPS; w++) {
        const float weight = exp2_approximate(shared.tops[w][head] - top);
        const float2 of_warp = *(const float2*)(shared.sums[w] + head * SUM_STRIDE + column);
        total += weight * shared.totals[w][head];
        sum.x += weight * of_warp.x;
        sum.y += weight * of_warp.y;
      }
      if (splits == 1) {
        store(head, column, sum.x / total, sum.y / total);
      } else {
        const long long at = part(split, head);
        *(float2*)(in.workspace + at * WIDTH + column) = sum;
        if (column == 0) {
          statistics()[at] = make_float2(top, total);
        }
      }
    }
  }

  /** Whether all other splits of this row and head have finished. */
  __device__ __forceinline__ bool is_last() {
    u32* counter = in.counters + row * gridDim.y + kv_head;
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      shared.arrived = atomicAdd(counter, 1);
      __threadfence();
      if (shared.arrived == splits - 1) {
        *counter = 0;
      }
    }
    __syncthreads();
    return shared.arrived == splits - 1;
  }

  __device__ __forceinline__ void join_splits() {
    const int lane = threadIdx.x % WARP;
    for (int head = warp; head < in.group; head += WARPS) {
      float2 parts[MAX_SPLITS / WARP];
      float top = minus_infinity();
#pragma unroll
      for (int i = 0; i < MAX_SPLITS / WARP; i++) {
        const int index = i * WARP + lane;
        parts[i] = index < splits ? load_shared_by_blocks(statistics() + part(index, head))
                                  : make_float2(minus_infinity(), 0.0f);
        top = fmaxf(top, parts[i].x);
      }
      top = warp_max(top);
      float total = 0.0f;
#pragma unroll
      for (int i = 0; i < MAX_SPLITS / WARP; i++) {
        parts[i].x = exp2_approximate(parts[i].x - top);
        total += parts[i].x * parts[i].y;
      }
      total = warp_sum(total);
#pragma unroll
      for (int i = 0; i < MAX_SPLITS / WARP; i++) {
        shared.weights[head][i * WARP + lane] = parts[i].x / total;
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < in.group * (WIDTH / 4); i += THREADS) {
      const int head = i / (WIDTH / 4);
      const int column = i % (WIDTH / 4) * 4;
      const float4* source = (const float4*)(in.workspace + part(0, head) * WIDTH + column);
      float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 8
      for (int s = 0; s < splits; s++) {
        const float weight = shared.weights[head][s];
        const float4 of_split = load_shared_by_blocks(source + s * in.group * (WIDTH / 4));
        sum.x += weight * of_split.x;
        sum.y += weight * of_split.y;
        sum.z += weight * of_split.z;
        sum.w += weight * of_split.w;
      }
      store(head, column, sum.x, sum.y);
      store(head, column + 2, sum.z, sum.w);
    }
  }
};

template <int WIDTH, int TILES>
__device__ __forceinline__ void decode(const DecodeArguments& arguments) {
  __shared__ typename Decode<WIDTH, TILES>::Shared shared;
  Decode<WIDTH, TILES> d(arguments, shared);
  if (d.first_unit + d.warp < d.end_unit) {
    // What the previous kernel still writes is fetched again where it has changed in L2.
    d.prefetch(d.first_unit + d.warp);
  }
  wait_for_previous_kernel();
  start_next_kernel();
  if (d.first_unit >= d.end_unit) {
    if (d.seen == 0 && d.split == 0) {
      d.store_zeros();
    }
    return;
  }
  d.run();
  d.publish();
  d.join_warps();
  if (d.splits > 1 && d.is_last()) {
    d.join_splits();
  }
}

/**
 * @param q [rows, query heads * WIDTH], rotated
 * @param keys [blocks << block_shift, key/value heads * WIDTH], with the new rows' own
 * @param values like keys
 * @param block_tables [segments, tables_stride] numbers of blocks
 * @param query_starts [segments + 1] first row of each sequence; null: row i is sequence i
 * @param positions [rows]; the row sees keys 0 to its position, and is zero where that is negative
 * @param group query heads for each key/value head
 * @param out like q
 */
#define ATTENTION_DECODE(NAME, WIDTH, TILES)                                                     \
  extern "C" __global__ void __launch_bounds__(THREADS) NAME(                                    \
      const element* q, int q_stride, const element* keys, int keys_stride,                      \
      const element* values, int values_stride, int block_shift, const int* block_tables,        \
      int tables_stride, const int* query_starts, int segments, const int* positions, int group, \
      float scale, int min_keys, float* workspace, u32* counters, element* out,                  \
      int out_stride) {                                                                          \
    const DecodeArguments arguments = {                                                          \
        q,            q_stride, keys,      keys_stride, values, values_stride, block_shift,      \
        block_tables, tables_stride,       query_starts, segments, positions, group,             \
        scale,        min_keys, workspace, counters,    out,    out_stride};                     \
    decode<WIDTH, TILES>(arguments);                                                             \
  }

ATTENTION_DECODE(attention_decode_w64_g8, 64, 1)
ATTENTION_DECODE(attention_decode_w64_g16, 64, 2)
ATTENTION_DECODE(attention_decode_w128_g8, 128, 1)
ATTENTION_DECODE(attention_decode_w128_g16, 128, 2)
