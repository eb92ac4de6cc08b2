// Sums over the ranks of a group and columns side by side, over memory that the ranks see of each
// other; peers.cuh says how they meet.
//
// Shapes: `count` elements in one piece, the same on every rank; any alignment, 16 bytes is fast.
// Every rank launches the same kernels in the same order with the same grid. Sums are fp32 in rank
// order and rounded once, so that all ranks hold the same bits. Where a rank gives up waiting its
// output is undefined and its status tells.
#include "peers.cuh"

constexpr int ONE_SHOT_THREADS = 128;
constexpr int BLOCK_THREADS = 512;

/** Elements that a thread of the one-shot kernel takes: those of a slot. */
constexpr int QUAD = 4;

struct Quad {
  u32 low;
  u32 high;
};

/** Four elements, zeros beyond `count`. */
__device__ __forceinline__ Quad load_quad(const element* x, int index, int count) {
  if ((u64)x % 8 == 0 && index + QUAD <= count) {
    const uint2 v = *(const uint2*)(x + index);
    return {v.x, v.y};
  }
  u32 bits[QUAD];
#pragma unroll
  for (int i = 0; i < QUAD; i++) {
    bits[i] = index + i < count ? x[index + i].bits : 0;
  }
  return {bits[0] | bits[1] << 16, bits[2] | bits[3] << 16};
}

__device__ __forceinline__ void store_quad(element* out, int index, int count, const float* sum) {
  const u32 low = pack2(sum[0], sum[1]);
  const u32 high = pack2(sum[2], sum[3]);
  if ((u64)out % 8 == 0 && index + QUAD <= count) {
    *(uint2*)(out + index) = make_uint2(low, high);
    return;
  }
  const u32 bits[QUAD] = {low & 0xffff, low >> 16, high & 0xffff, high >> 16};
#pragma unroll
  for (int i = 0; i < QUAD; i++) {
    if (index + i < count) {
      out[index + i].bits = (u16)bits[i];
    }
  }
}

__device__ __forceinline__ void add_quad(float* sum, const Quad& q) {
  const float2 a = unpack2(q.low), b = unpack2(q.high);
  sum[0] += a.x;
  sum[1] += a.y;
  sum[2] += b.x;
  sum[3] += b.y;
}

__device__ __forceinline__ void add8(Floats8& sum, const Floats8& f) {
#pragma unroll
  for (int i = 0; i < VECTOR; i++) {
    sum.at[i] += f.at[i];
  }
}

/** As all_reduce_one_shot, for at most RANKS ranks. */
template <int RANKS>
__device__ __forceinline__ void one_shot(const Peers& peers, const element* partial,
                                         element* target, bool adds, int count, int slots) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int slot = blockIdx.x * ONE_SHOT_THREADS + threadIdx.x;
  const int index = slot * QUAD;
  // All loads first: the number, on which the stores wait, comes with the data.
  Quad mine = {0, 0}, before = {0, 0};
  if (index < count) {
    mine = load_quad(partial, index, count);
    if (adds) {
      before = load_quad(target, index, count);
    }
  }
  const u32 epoch = peers.epoch();
  const int half = (epoch & 1) * peers.size;
  if (index < count) {
#pragma unroll
    for (int r = 0; r < RANKS; r++) {
      if (r < peers.size && r != peers.rank) {
        Slot* theirs = (Slot*)(peers.mailboxes[r] + SLOTS_OFFSET);
        store_slot(theirs + (long long)(half + peers.rank) * slots + slot, mine.low, mine.high,
                   epoch);
      }
    }
  }
  peers.enter(epoch);
  if (index >= count) {
    return;
  }
  const Slot* arriving = (const Slot*)(peers.own + SLOTS_OFFSET) + slot;
  Slot found[RANKS];
#pragma unroll
  for (int r = 0; r < RANKS; r++) {
    found[r] = Slot{0, 0};
    if (r < peers.size && r != peers.rank) {
      found[r] = load_slot(arriving + (long long)(half + r) * slots);
    }
  }
  float sum[QUAD] = {};
  bool complete = true;
#pragma unroll
  for (int r = 0; r < RANKS; r++) {
    if (r < peers.size) {
      Quad part = mine;
      if (r != peers.rank) {
        complete = complete &&
                   peers.await(arriving + (long long)(half + r) * slots, epoch, found[r]);
        part = {(u32)found[r].first, (u32)found[r].second};
      }
      add_quad(sum, part);
    }
  }
  if (adds) {
    add_quad(sum, before);
  }
  if (complete) {
    store_quad(target, index, count, sum);
  }
}

/** As all_reduce_two_shot, for at most RANKS ranks. */
template <int RANKS>
__device__ __forceinline__ void two_shot(const Peers& peers, element* partial, element* target,
                                         bool adds, int count) {
  wait_for_previous_kernel();
  start_next_kernel();
  __shared__ u64 partials[MAX_RANKS], targets[MAX_RANKS];
  const u32 epoch = peers.epoch();
  peers.enter(epoch);
  if (!peers.exchange(epoch, (u64)partial, (u64)target, partials, targets)) {
    return;
  }
  const element* from[RANKS];
  element* to[RANKS];
  bool aligned = true;
#pragma unroll
  for (int r = 0; r < RANKS; r++) {
    if (r < peers.size) {
      from[r] = (const element*)partials[r];
      to[r] = (element*)targets[r];
      aligned = aligned && partials[r] % 16 == 0 && targets[r] % 16 == 0;
    }
  }
  // What is in flight must cover the way to a peer and back: eight loads a thread, whoever's.
  constexpr int AT_ONCE = MAX_RANKS / RANKS;
  const int groups = (count + VECTOR - 1) / VECTOR;
  const int first = (int)((long long)groups * peers.rank / peers.size);
  const int last = (int)((long long)groups * (peers.rank + 1) / peers.size);
  const int whole = aligned ? max(first, min(last, count / VECTOR)) : first;
  const int step = gridDim.x * BLOCK_THREADS;
  const int thread = blockIdx.x * BLOCK_THREADS + threadIdx.x;
  for (int g = first + thread; g < whole; g += AT_ONCE * step) {
    uint4 parts[AT_ONCE][RANKS];
#pragma unroll
    for (int k = 0; k < AT_ONCE; k++) {
#pragma unroll
      for (int r = 0; r < RANKS; r++) {
        if (r < peers.size && g + k * step < whole) {
          parts[k][r] = load_peer(from[r] + (g + k * step) * VECTOR);
        }
      }
    }
#pragma unroll
    for (int k = 0; k < AT_ONCE; k++) {
      if (g + k * step < whole) {
        const int index = (g + k * step) * VECTOR;
        Floats8 sum = {};
#pragma unroll
        for (int r = 0; r < RANKS; r++) {
          if (r < peers.size) {
            add8(sum, unpack(parts[k][r]));
          }
        }
        if (adds) {
          add8(sum, unpack(*(const uint4*)(target + index)));
        }
        const uint4 rounded = pack(sum);
#pragma unroll
        for (int r = 0; r < RANKS; r++) {
          if (r < peers.size) {
            *(uint4*)(to[r] + index) = rounded;
          }
        }
      }
    }
  }
  // Elements one by one where a tensor is not aligned, and the last few.
  for (int i = whole * VECTOR + thread; i < min(count, last * VECTOR); i += step) {
    float sum = 0.0f;
#pragma unroll
    for (int r = 0; r < RANKS; r++) {
      if (r < peers.size) {
        element e;
        e.bits = *(const volatile u16*)(from[r] + i);
        sum += to_float(e);
      }
    }
    const element rounded = to_element(adds ? sum + to_float(target[i]) : sum);
#pragma unroll
    for (int r = 0; r < RANKS; r++) {
      if (r < peers.size) {
        to[r][i] = rounded;
      }
    }
  }
  peers.finish(epoch);
}

/**
 * target = Σ partial, or target += Σ partial where `adds`: every rank sends all of its part to all
 * others, each datum with its epoch. `target` may be `partial`. The last number of a kernel's name
 * is how many ranks it is for at most.
 *
 * Launch: grid count / 512 rounded up, block 128, no dynamic shared memory; count at most 4 * slots.
 */
#define ONE_SHOT(RANKS)                                                                           \
  extern "C" __global__ void __launch_bounds__(ONE_SHOT_THREADS) all_reduce_one_shot_##RANKS(     \
      PEER_PARAMETERS, const element* partial, element* target, int adds, int count, int slots) { \
    const Peers peers = PEERS;                                                                    \
    one_shot<RANKS>(peers, partial, target, adds, count, slots);                                  \
  }
ONE_SHOT(2)
ONE_SHOT(4)
ONE_SHOT(8)

/**
 * The same for large messages: rank r sums the r-th part of all elements, which it reads from the
 * others, and writes the result to all of them.
 *
 * Launch: any grid up to 128, block 512, no dynamic shared memory.
 */
#define TWO_SHOT(RANKS)                                                                           \
  extern "C" __global__ void __launch_bounds__(BLOCK_THREADS) all_reduce_two_shot_##RANKS(        \
      PEER_PARAMETERS, element* partial, element* target, int adds, int count) {                  \
    const Peers peers = PEERS;                                                                    \
    two_shot<RANKS>(peers, partial, target, adds, count);                                         \
  }
TWO_SHOT(2)
TWO_SHOT(4)
TWO_SHOT(8)

/** out[:, r * columns : (r + 1) * columns] = local of rank r, on every rank. */
template <typename T>
__device__ __forceinline__ void gather(const Peers& peers, const T* local, int local_stride,
                                       T* out, int out_stride, int rows, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  __shared__ u64 outs[MAX_RANKS], locals[MAX_RANKS];
  const u32 epoch = peers.epoch();
  peers.enter(epoch);
  if (!peers.exchange(epoch, (u64)out, (u64)local, outs, locals)) {
    return;
  }
  const long long count = (long long)rows * columns;
  for (long long i = (long long)blockIdx.x * BLOCK_THREADS + threadIdx.x; i < count;
       i += (long long)gridDim.x * BLOCK_THREADS) {
    const int row = (int)(i / columns);
    const int column = (int)(i % columns);
    const T value = row_of(local, row, local_stride)[column];
    const long long place = (long long)row * out_stride + peers.rank * columns + column;
#pragma unroll
    for (int r = 0; r < MAX_RANKS; r++) {
      if (r < peers.size) {
        ((T*)outs[r])[place] = value;
      }
    }
  }
  peers.finish(epoch);
}

/**
 * Columns of 4 bytes, strides in elements: logits.
 *
 * Launch: any grid up to 128, block 512, no dynamic shared memory.
 */
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    all_gather_columns_32(PEER_PARAMETERS, const u32* local, int local_stride, u32* out,
                          int out_stride, int rows, int columns) {
  const Peers peers = PEERS;
  gather(peers, local, local_stride, out, out_stride, rows, columns);
}

/** Columns of 2 bytes. */
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
    all_gather_columns_16(PEER_PARAMETERS, const u16* local, int local_stride, u16* out,
                          int out_stride, int rows, int columns) {
  const Peers peers = PEERS;
  gather(peers, local, local_stride, out, out_stride, rows, columns);
}
