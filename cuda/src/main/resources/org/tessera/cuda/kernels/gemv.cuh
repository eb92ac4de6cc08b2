// Products of 1 to 16 rows with a matrix, at the speed at which the matrix can be read.
//
// A tile is 8 matrix rows, any 8. The blocks of a cluster share a contiguous range of tiles and cut
// the columns among them, so that a row of 7 KB keeps two SMs busy and tiles divide evenly over an
// odd number of them. In a block one warp produces: it keeps GEMV_STAGES steps of 8 rows by at most
// GEMV_CHUNK columns on their way into a ring in shared memory, without regard to tiles or to the
// kernel before this one, whose results it does not need. Seven warps consume: each takes pieces of
// 32 columns. A lane reads 16 bytes of a matrix row, and together with 16 bytes of a row of x those
// are fragments of two matrix products as they come: the order of k is free, and both sides use the
// same. So 16 rows of x cost no more instructions for the matrix than one.
//
// GROUP tiles go through a chunk of columns before the next chunk, so that x, which comes through
// L1 into registers, is read once a group. The sums of the warps, then those of the blocks, meet in
// shared memory once a group.
#pragma once
#include "pipeline.cuh"
#include "tensor_core.cuh"

/** Columns of a step, a multiple of 64. */
#ifndef GEMV_CHUNK
#define GEMV_CHUNK 896
#endif
/** Steps on their way. */
#ifndef GEMV_STAGES
#define GEMV_STAGES 6
#endif
/** Blocks that share the columns: 1, 2, 4 or 8; 1 below sm_90. */
#ifndef GEMV_CLUSTER
#define GEMV_CLUSTER 2
#endif
/** Tiles of a group for up to 8 rows of x, a multiple of GEMV_CLUSTER; half for up to 16. */
#ifndef GEMV_GROUP
#define GEMV_GROUP 8
#endif
/** Least blocks of an SM, two so that the next kernel's may be there early. */
#ifndef GEMV_BLOCKS_PER_SM
#define GEMV_BLOCKS_PER_SM 2
#endif

/**
 * Whether the next kernel may start only when a block has asked for the last of its matrix. Then
 * what that kernel asks for keeps memory busy while the sums of this one are finished; where it
 * starts at once, it has filled its ring long before and waits as well.
 */
#ifndef GEMV_LATE_START
#define GEMV_LATE_START 0
#endif

/** With the producer eight: two blocks of 128 registers a thread fit an SM. */
constexpr int GEMV_WARPS = 7;
/** Threads that consume; a block has a warp more. */
constexpr int GEMV_CONSUMERS = GEMV_WARPS * WARP;
constexpr int GEMV_THREADS = GEMV_CONSUMERS + WARP;
constexpr int TILE = 8;
constexpr int PIECE = 32;
constexpr int PIECES = (GEMV_CHUNK + PIECE * GEMV_WARPS - 1) / (PIECE * GEMV_WARPS);
/** 64 bytes more than a multiple of 128, so that two rows' 64 bytes fall on different banks. */
constexpr int STAGE_ROW = GEMV_CHUNK + 32;
constexpr int CLUSTER = TESSERA_BULK_COPIES ? GEMV_CLUSTER : 1;

static_assert(GEMV_CHUNK % 64 == 0, "rows of a stage would share banks");

/** The vectors that a product reads. */
struct GemvInput {
  const element* x;
  int x_stride;
  int n;
  const element* w;
  int w_stride;
  int columns;
  /** Weight of the norm that is applied to x first, where there is one. */
  const element* norm_weight;
  float eps;
  /** Steps beyond the ring that are asked into L2 at the start. */
  int l2_ahead;
};

/** HALVES: 1 for up to 8 rows of x, 2 for up to 16. */
template <int HALVES>
struct GemvShared {
  static constexpr int X_ROWS = 8 * HALVES;
  static constexpr int GROUP = GEMV_GROUP / HALVES;
  static_assert(GROUP % CLUSTER == 0, "the blocks of a cluster finish the tiles in turn");

  element ring[GEMV_STAGES][TILE][STAGE_ROW];
  float sums[GEMV_WARPS][GROUP][X_ROWS][TILE];
  /** By parity of the group, sender, tile. */
  float received[2][CLUSTER][GROUP / CLUSTER][X_ROWS][TILE];
  float squares[GEMV_WARPS][X_ROWS];
  float received_squares[CLUSTER][X_ROWS];
  float scales[X_ROWS];
  u64 full[GEMV_STAGES];
  u64 empty[GEMV_STAGES];
  /** By parity of the group: the other blocks have sent. */
  u64 sent[2];
};

__device__ __forceinline__ int round_up(int v, int unit) { return (v + unit - 1) / unit * unit; }

/** What one block does: tiles [first, end) over columns [begin, stop) in steps of `chunk`. */
struct GemvShare {
  int rank, first, end, begin, stop, chunk, steps;

  __device__ __forceinline__ GemvShare(int tiles, int columns) {
    const int clusters = gridDim.x / CLUSTER;
    const int cluster = blockIdx.x / CLUSTER;
    rank = blockIdx.x % CLUSTER;
    first = (int)((long long)tiles * cluster / clusters);
    end = (int)((long long)tiles * (cluster + 1) / clusters);
    const int part = round_up((columns + CLUSTER - 1) / CLUSTER, 64);
    begin = min(rank * part, columns);
    stop = min(begin + part, columns);
    const int width = stop - begin;
    const int least = max(1, (width + GEMV_CHUNK - 1) / GEMV_CHUNK);
    chunk = max(PIECE, round_up((width + least - 1) / least, PIECE));
    steps = (width + chunk - 1) / chunk;
  }
};

__device__ __forceinline__ void consumers_barrier() {
  asm volatile("bar.sync 1, %0;" ::"n"(GEMV_CONSUMERS) : "memory");
}

__device__ __forceinline__ float square2(u32 v) {
  const float2 f = unpack2(v);
  return f.x * f.x + f.y * f.y;
}

/** A place in the ring. */
struct RingPlace {
  int stage = 0;
  u32 parity = 0;

  __device__ __forceinline__ void advance() {
    if (++stage == GEMV_STAGES) {
      stage = 0;
      parity ^= 1;
    }
  }
};

/** The warp that keeps the ring full. */
template <int HALVES, typename RowOfTile>
__device__ __forceinline__ void produce(GemvShared<HALVES>& shared, const GemvInput& in,
                                        const GemvShare& share, RowOfTile row_of_tile) {
  constexpr int GROUP = GemvShared<HALVES>::GROUP;
  const int lane = threadIdx.x % WARP;
  RingPlace place;
#if TESSERA_BULK_COPIES
  int filled = 0;
  const u64 policy = evict_first_policy();
#endif
  for (int group = share.first; group < share.end; group += GROUP) {
    const int count = min(GROUP, share.end - group);
    for (int step = 0; step < share.steps; step++) {
      const int column = share.begin + step * share.chunk;
      const int width = min(share.chunk, share.stop - column);
      for (int g = 0; g < count; g++) {
#if TESSERA_BULK_COPIES
        if (filled++ == GEMV_STAGES) {
          const int ahead = min(GEMV_STAGES + in.l2_ahead, share.steps * count);
          for (int i = GEMV_STAGES; i < ahead && lane < TILE; i++) {
            const int c = share.begin + i / count * share.chunk;
            prefetch_bulk(
                row_of(in.w, row_of_tile(group + i % count, lane), in.w_stride) + c,
                min(share.chunk, share.stop - c) * (u32)sizeof(element));
          }
        }
#endif
        wait_for_phase(&shared.empty[place.stage], place.parity ^ 1);
        u64* full = &shared.full[place.stage];
#if TESSERA_BULK_COPIES
        const u32 bytes = width * (u32)sizeof(element);
        if (lane == 0) {
          arrive_expecting(full, TILE * bytes);
        }
        __syncwarp();
        if (lane < TILE) {
          copy_bulk(shared.ring[place.stage][lane],
                    row_of(in.w, row_of_tile(group + g, lane), in.w_stride) + column, bytes, full,
                    policy);
        }
#else
        for (int row = 0; row < TILE; row++) {
          const element* source =
              row_of(in.w, row_of_tile(group + g, row), in.w_stride) + column;
          for (int c = lane * VECTOR; c < width; c += WARP * VECTOR) {
            copy_16_bytes(&shared.ring[place.stage][row][c], source + c);
          }
        }
        arrive_after_copies(full);
#endif
        place.advance();
      }
    }
  }
  if (GEMV_LATE_START) {
    start_next_kernel();
  }
}

/** The warps that multiply. */
template <int HALVES, bool NORM>
struct GemvConsumer {
  typedef GemvShared<HALVES> Shared;
  static constexpr int X_ROWS = Shared::X_ROWS;
  static constexpr int GROUP = Shared::GROUP;

  Shared& shared;
  const GemvInput& in;
  const GemvShare& share;
  int warp, lane, row, pair;
  RingPlace place;
  float sums[GROUP][4];
  uint4 x[PIECES][HALVES];
  float squares[HALVES];

  __device__ __forceinline__ GemvConsumer(Shared& scratch, const GemvInput& input,
                                          const GemvShare& mine)
      : shared(scratch), in(input), share(mine) {
    warp = threadIdx.x / WARP;
    lane = threadIdx.x % WARP;
    row = lane / 4;
    pair = lane % 4;
#pragma unroll
    for (int h = 0; h < HALVES; h++) {
      squares[h] = 0.0f;
    }
  }

  __device__ __forceinline__ int offset(int piece) const {
    return (piece * GEMV_WARPS + warp) * PIECE + pair * VECTOR;
  }

  __device__ __forceinline__ void load_x(int column, int width, bool count_squares) {
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      const int c = offset(p);
#pragma unroll
      for (int h = 0; h < HALVES; h++) {
        x[p][h] = c < width && h * 8 + row < in.n
                      ? *(const uint4*)(row_of(in.x, h * 8 + row, in.x_stride) + column + c)
                      : make_uint4(0, 0, 0, 0);
      }
    }
    if constexpr (NORM) {
      apply_norm_weight(column, width, count_squares);
    }
  }

  /** The scale of a row is a factor of its sums and applied there. */
  __device__ __forceinline__ void apply_norm_weight(int column, int width, bool count_squares) {
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      const int c = offset(p);
      const uint4 weight = c < width ? *(const uint4*)(in.norm_weight + column + c)
                                     : make_uint4(0, 0, 0, 0);
#pragma unroll
      for (int h = 0; h < HALVES; h++) {
        uint4& v = x[p][h];
        if (count_squares) {
          squares[h] += square2(v.x) + square2(v.y) + square2(v.z) + square2(v.w);
        }
        v = make_uint4(multiply2(v.x, weight.x), multiply2(v.y, weight.y),
                       multiply2(v.z, weight.z), multiply2(v.w, weight.w));
      }
    }
  }

  __device__ __forceinline__ void multiply(float (&sum)[4], int width) {
    wait_for_phase(&shared.full[place.stage], place.parity);
    const element* w_row = shared.ring[place.stage][row];
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
      const int c = offset(p);
      const uint4 w = c < width ? *(const uint4*)(w_row + c) : make_uint4(0, 0, 0, 0);
      const uint4 low = x[p][0];
      const uint4 high = HALVES == 2 ? x[p][HALVES - 1] : make_uint4(0, 0, 0, 0);
      mma_accumulate(sum, low.x, high.x, low.y, high.y, w.x, w.y);
      mma_accumulate(sum, low.z, high.z, low.w, high.w, w.z, w.w);
    }
    __syncwarp();
    if (lane == 0) {
      arrive(&shared.empty[place.stage]);
    }
    place.advance();
  }

  __device__ __forceinline__ void multiply_group(int count, bool first) {
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        sums[g][i] = 0.0f;
      }
    }
    for (int step = 0; step < share.steps; step++) {
      const int column = share.begin + step * share.chunk;
      const int width = min(share.chunk, share.stop - column);
      load_x(column, width, first);
#pragma unroll
      for (int g = 0; g < GROUP; g++) {
        if (g < count) {
          multiply(sums[g], width);
        }
      }
    }
  }

  /** Leaves the sums of this warp where the block finds them. */
  __device__ __forceinline__ void publish(int count, bool first) {
    consumers_barrier();  // the last group's sums have been read
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
      if (g < count) {
#pragma unroll
        for (int h = 0; h < HALVES; h++) {
          *(float2*)&shared.sums[warp][g][h * 8 + row][pair * 2] =
              make_float2(sums[g][2 * h], sums[g][2 * h + 1]);
        }
      }
    }
    if (NORM && first) {
#pragma unroll
      for (int h = 0; h < HALVES; h++) {
        float sum = squares[h];
        sum += __shfl_xor_sync(FULL_WARP, sum, 1);
        sum += __shfl_xor_sync(FULL_WARP, sum, 2);
        if (pair == 0) {
          shared.squares[warp][h * 8 + row] = sum;
        }
      }
    }
    consumers_barrier();
  }

  __device__ __forceinline__ float block_sum(int g, int x_row, int tile_row) const {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < GEMV_WARPS; i++) {
      sum += shared.sums[i][g][x_row][tile_row];
    }
    return sum;
  }

  /** Sends the sums of tiles that other blocks finish; takes the squares of x of all of them. */
  __device__ __forceinline__ void exchange(int count, int number, bool first) {
    float square = 0.0f;
    if (NORM && first && threadIdx.x < X_ROWS) {
      for (int i = 0; i < GEMV_WARPS; i++) {
        square += shared.squares[i][threadIdx.x];
      }
    }
#if TESSERA_BULK_COPIES
    if (CLUSTER > 1) {
      const int results = in.n * TILE;
      for (int i = threadIdx.x; i < count * results; i += GEMV_CONSUMERS) {
        const int g = i / results;
        const int x_row = i % results / TILE;
        const int tile_row = i % TILE;
        if (g % CLUSTER != share.rank) {
          float* to = &shared.received[number % 2][share.rank][g / CLUSTER][x_row][tile_row];
          store_in(address_in(to, g % CLUSTER), block_sum(g, x_row, tile_row));
        }
      }
      if (NORM && first && threadIdx.x < X_ROWS) {
        for (int peer = 0; peer < CLUSTER; peer++) {
          if (peer != share.rank) {
            store_in(address_in(&shared.received_squares[share.rank][threadIdx.x], peer), square);
          }
        }
      }
      __syncwarp();
      if (lane < CLUSTER && lane != share.rank) {
        arrive_in(address_in(&shared.sent[number % 2], lane));
      }
      // A block sends group i + 2 after it had the others' i + 1, so after they have used i.
      wait_for_cluster_phase(&shared.sent[number % 2], number / 2 % 2);
      if (NORM && first && threadIdx.x < X_ROWS) {
        for (int peer = 0; peer < CLUSTER; peer++) {
          if (peer != share.rank) {
            square += shared.received_squares[peer][threadIdx.x];
          }
        }
      }
    }
#endif
    if (NORM && first) {
      if (threadIdx.x < X_ROWS) {
        shared.scales[threadIdx.x] = rsqrtf(square / in.columns + in.eps);
      }
      consumers_barrier();
    }
  }

  /** The product of a row of x and a row of tile g, which this block finishes. */
  __device__ __forceinline__ float result(int number, int g, int x_row, int tile_row) const {
    float sum = block_sum(g, x_row, tile_row);
    if (CLUSTER > 1) {
#pragma unroll
      for (int peer = 0; peer < CLUSTER; peer++) {
        if (peer != share.rank) {
          sum += shared.received[number % 2][peer][g / CLUSTER][x_row][tile_row];
        }
      }
    }
    return NORM ? sum * shared.scales[x_row] : sum;
  }
};

/** The sums of a row of x and the rows of a tile; NVRTC takes no lambda with an auto parameter. */
template <int HALVES, bool NORM>
struct TileSums {
  const GemvConsumer<HALVES, NORM>& consumer;
  int number, g, x_row;

  __device__ __forceinline__ float operator()(int tile_row) const {
    return consumer.result(number, g, x_row, tile_row);
  }
};

/**
 * Runs the tiles of this block.
 *
 * @param row_of_tile (tile, row of the tile) to the row of the matrix, clamped into it
 * @param finish (tile, x row, i < RESULTS, TileSums): writes a result
 */
template <int HALVES, bool NORM, int RESULTS, typename RowOfTile, typename Finish>
__device__ __forceinline__ void run_gemv(const GemvInput& in, int tiles, RowOfTile row_of_tile,
                                         Finish finish) {
  typedef GemvShared<HALVES> Shared;
  constexpr int GROUP = Shared::GROUP;
  extern __shared__ __align__(128) u8 dynamic_shared[];
  Shared& shared = *(Shared*)dynamic_shared;
  if (threadIdx.x == 0) {
    for (int i = 0; i < GEMV_STAGES; i++) {
      init_barrier(&shared.full[i], TESSERA_BULK_COPIES ? 1 : WARP);
      init_barrier(&shared.empty[i], GEMV_WARPS);
    }
    for (int i = 0; i < 2; i++) {
      init_barrier(&shared.sent[i], GEMV_WARPS * max(1, CLUSTER - 1));
    }
    publish_barriers();
  }
  __syncthreads();
  if (CLUSTER > 1) {
    arrive_at_cluster_barrier();
  }
  if (!GEMV_LATE_START) {
    start_next_kernel();
  }
  const GemvShare share(tiles, in.columns);
  if (threadIdx.x >= GEMV_CONSUMERS) {
    produce<HALVES>(shared, in, share, row_of_tile);
    if (CLUSTER > 1) {
      wait_for_cluster_barrier();
    }
  } else {
    wait_for_previous_kernel();
    if (CLUSTER > 1) {
      wait_for_cluster_barrier();  // the others' barriers exist
    }
    GemvConsumer<HALVES, NORM> consumer(shared, in, share);
    int number = 0;
    for (int group = share.first; group < share.end; group += GROUP, number++) {
      const int count = min(GROUP, share.end - group);
      consumer.multiply_group(count, number == 0);
      consumer.publish(count, number == 0);
      consumer.exchange(count, number, number == 0);
      const int mine = (count - share.rank + CLUSTER - 1) / CLUSTER;
      const int results = in.n * RESULTS;
      for (int i = threadIdx.x; i < mine * results; i += GEMV_CONSUMERS) {
        const int g = i / results * CLUSTER + share.rank;
        const int x_row = i % results / RESULTS;
        finish(group + g, x_row, i % RESULTS,
               TileSums<HALVES, NORM>{consumer, number, g, x_row});
      }
    }
  }
  if (CLUSTER > 1) {
    // No block ends while another may still write into its shared memory.
    arrive_at_cluster_barrier();
    wait_for_cluster_barrier();
  }
}
