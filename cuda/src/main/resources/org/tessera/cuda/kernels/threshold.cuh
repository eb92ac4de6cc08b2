// The exact place where top-k or top-p cuts a row, found by histograms of ever narrower ranges.
//
// Tokens ascend by score, of equal ones by id. The first histogram has 32 bins for a unit of the
// logit below the maximum, which spreads logits much more evenly than bits of floats would; the
// next ones split the bin in which the cut is by the bits of the score, then by those of the id.
// Weights are integers, so that sums are exact whatever the order.
#pragma once
#include "vocabulary.cuh"

constexpr int BINS = 1024;
constexpr int BIN_BITS = 10;
constexpr float BINS_PER_UNIT = 32.0f;
static_assert(BINS == VOCABULARY_THREADS, "a thread a bin");

/** Bits after the point of a weight; weights below 2^-44 of the likeliest token's are zero. */
constexpr int WEIGHT_BITS = 44;

/**
 * floor(2^44 e^x) of x <= 0, e^x to about 2^-22 of itself: x = n ln 2 + r, and the series of e^r up
 * to r^7 / 7!.
 */
__device__ __forceinline__ u64 fixed_point_exp(float x) {
  if (!(x > -31.0f)) {
    return 0;  // 44 ln 2 is 30.5
  }
  // Floats of this size have no bits after the point.
  constexpr float ROUNDER = 12582912.0f;
  const float n = __fsub_rn(__fmaf_rn(x, 1.44269504f, ROUNDER), ROUNDER);
  // ln 2 in two parts: n times the first one's error would show.
  const float r = __fmaf_rn(n, 1.90465421e-9f, __fmaf_rn(n, -0.693147182f, x));
  float e = 1.98412701e-4f;
  e = __fmaf_rn(e, r, 1.38888892e-3f);
  e = __fmaf_rn(e, r, 8.33333377e-3f);
  e = __fmaf_rn(e, r, 4.16666679e-2f);
  e = __fmaf_rn(e, r, 1.66666672e-1f);
  e = __fmaf_rn(e, r, 0.5f);
  e = __fmaf_rn(e, r, 1.0f);
  e = __fmaf_rn(e, r, 1.0f);
  return (u64)__fmul_rn(e, __int_as_float((127 + WEIGHT_BITS + (int)n) << 23));
}

/** Keeps tokens from a bin and a place in it upwards. */
struct Cut {
  float max_score;
  int bin = -1;
  u32 low = 0;
  u32 range = 0;
  int id_bits = 0;
  u64 least = 0;

  __device__ __forceinline__ int bin_of(float score) const {
    const float distance = max_score - score;
    return distance < BINS / BINS_PER_UNIT ? BINS - 1 - (int)(distance * BINS_PER_UNIT) : 0;
  }

  /** Ascends by score, then id, among the tokens of a bin. */
  __device__ __forceinline__ u64 place_of(float score, int id) const {
    const u32 key = ordered(score);
    const u32 offset = min(key > low ? key - low : 0, range);
    return (u64)offset << id_bits | (id_bits == 0 ? 0 : id);
  }

  __device__ __forceinline__ bool keeps(float score, int id) const {
    const int b = bin_of(score);
    return b > bin || (b == bin && place_of(score, id) >= least);
  }

  /** Takes a bin; returns the bits of the places in it. */
  __device__ __forceinline__ int choose(int chosen, int bits_of_ids) {
    bin = chosen;
    id_bits = bits_of_ids;
    // Rounding may have put a score just beyond the edge of its bin.
    const float slack = (fabsf(max_score) + BINS / BINS_PER_UNIT) / (1 << 20);
    const float top = max_score - (BINS - 1 - bin) / BINS_PER_UNIT + slack;
    low = bin == 0 ? ordered(-INFINITY_F)
                   : ordered(max_score - (BINS - bin) / BINS_PER_UNIT - slack);
    range = ordered(top) - low;
    return WARP - __clz(range) + id_bits;
  }
};

/** Histograms take turns, so that one can be read by other blocks while the next is filled. */
struct Histograms {
  u32 counts[2][BINS];
  u32 low[2][BINS];
  u32 high[2][BINS];
  u64 warp_totals[VOCABULARY_WARPS];
  int found_warp;
  int bin;
  u32 count;
  u64 before;

  __device__ __forceinline__ void add(int at, int b, u64 weight) {
    atomicAdd(&counts[at][b], 1u);
    const u32 w = (u32)weight;
    const u32 old = atomicAdd(&low[at][b], w);
    const u32 rest = (u32)(weight >> 32) + (old + w < old ? 1u : 0u);
    if (rest != 0) {
      atomicAdd(&high[at][b], rest);
    }
  }
};

/**
 * Finds the first token, ascending, at which the sum of measures up to and with it passes a limit;
 * the last one where none does.
 *
 * @param cut gets the place; its max_score is set
 * @param id_bits bits of a token id where ties are cut by id, 0 where they stay together
 * @param measure (index in the slice) to a weight; called for members only
 * @param member (index in the slice): takes part
 * @param passes (sum, total)
 */
template <typename Member, typename Measure, typename Passes>
__device__ __forceinline__ void find_cut(Histograms& histograms, int& turn, const float* scores,
                                         const Slice& slice, Cut& cut, int id_bits, Member member,
                                         Measure measure, Passes passes) {
  const int thread = threadIdx.x;
  u64 before = 0;
  u64 total = 0;
  u64 prefix = 0;
  int shift_before = 0;
  int shift = 0;
  for (int level = 0;; level++) {
    const int at = turn;
    turn ^= 1;
    histograms.counts[at][thread] = 0;
    histograms.low[at][thread] = 0;
    histograms.high[at][thread] = 0;
    __syncthreads();
    for (int i = thread; i < slice.count; i += VOCABULARY_THREADS) {
      const float score = scores[i];
      int digit = cut.bin_of(score);
      if (level > 0) {
        if (digit != cut.bin) {
          continue;
        }
        const u64 place = cut.place_of(score, slice.first + i);
        if (place >> shift_before != prefix) {
          continue;
        }
        digit = (int)(place >> shift) & ((1 << (shift_before - shift)) - 1);
      }
      if (member(i)) {
        histograms.add(at, digit, measure(i));
      }
    }
    row_barrier();
    u64 sum = 0;
    u32 count = 0;
    for (int rank = 0; rank < VOCABULARY_CLUSTER; rank++) {
      const Histograms* other = peer(&histograms, rank);
      count += other->counts[at][thread];
      sum += (u64)other->high[at][thread] << 32;
      sum += other->low[at][thread];
    }
    u64 through = warp_scan(sum);
    if (thread % WARP == WARP - 1) {
      histograms.warp_totals[thread / WARP] = through;
    }
    if (thread == 0) {
      histograms.found_warp = VOCABULARY_WARPS;
    }
    __syncthreads();
    u64 all = 0;
    for (int i = 0; i < VOCABULARY_WARPS; i++) {
      const u64 v = histograms.warp_totals[i];
      through += i < thread / WARP ? v : 0;
      all += v;
    }
    if (level == 0) {
      total = all;
    }
    through += before;
    const bool here = sum != 0 && (through == total || passes(through, total));
    const u32 found = __ballot_sync(FULL_WARP, here);
    if (found != 0 && thread % WARP == 0) {
      atomicMin(&histograms.found_warp, thread / WARP);
    }
    __syncthreads();
    if (thread / WARP == histograms.found_warp && thread % WARP == __ffs(found) - 1) {
      histograms.bin = thread;
      histograms.count = count;
      histograms.before = through - sum;
    }
    __syncthreads();
    const int bin = histograms.bin;
    before = histograms.before;
    const u32 left = histograms.count;
    if (level == 0) {
      shift = cut.choose(bin, id_bits);
    } else {
      const int width = shift_before - shift;
      prefix = prefix << width | (u64)bin;
      cut.least = prefix << shift;
    }
    if (left == 1 || shift == 0) {
      return;
    }
    shift_before = shift;
    shift = max(0, shift - BIN_BITS);
  }
}
