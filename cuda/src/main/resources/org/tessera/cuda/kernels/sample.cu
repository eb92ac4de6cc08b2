// The next token of each row of logits.
//
// Shapes: logits fp32 [rows, vocabulary], stride in floats; ids I32 [rows].
// Launch: grid rows * 8 from sm_90 on (the cluster is a property of the kernels: launch plainly),
// rows below; block 1024. argmax: no dynamic shared memory. sample: ceil(vocabulary / 8) * 4 bytes
// and scratch null from sm_90 on; below, none and scratch fp32 [rows, vocabulary].
// Alignment: that of the types.
// A row whose logits hold NaN or +infinity gets id -1, one where no token is possible -2.
//
// Nothing but operations that IEEE 754 defines decides about a token, each rounded as written here
// (no contraction, no expf), so that a host computes the very same: org.tessera.cpu.SampledRow.
#include "threshold.cuh"

/** Terminators that a row can have before min_new_tokens. */
constexpr int MAX_TERMINATORS = 5;

/**
 * How a row is sampled: 64 bytes, written by the host, which are org.tessera.ops.SamplingParameters.
 *
 * The order: repetition penalty over generated tokens (a score above 0 is divided, others are
 * multiplied), frequency penalty times how often a token came, presence penalty where it did;
 * terminators impossible before min_new_tokens; temperature; top-k, which keeps all that equal the
 * k-th; top-p, which drops the least likely while together they hold at most drop_mass, of equal
 * ones the lower id first; one draw.
 *
 * Unlike org.tessera.sampling.Sampler, weights are fixed-point numbers with 44 bits after the
 * point; the draw walks ids upwards; and its random number is Philox4x32-10 with the key (low,
 * high half of seed) and the counter (generated, 0, 0, 0): the first two words r0, r1 make
 * r = r1 * 2^32 + r0, and the token is the first at which the sum of kept weights passes
 * floor(r * sum of all kept weights / 2^64).
 */
struct SamplingParameters {
  /** 0: the largest score, of equal ones the lowest id. Below 0: the row is left alone. */
  float temperature;
  /** 0: off. */
  int top_k;
  /** 1 - top_p; 0: off. */
  float drop_mass;
  /** 1: off. */
  float repetition_penalty;
  /** 0: off. */
  float presence_penalty;
  /** 0: off. */
  float frequency_penalty;
  u64 seed;
  /** Row of `counts` that belongs to the sequence, -1: none, and no penalties. */
  int count_row;
  int min_new_tokens;
  /** Tokens generated so far; the kernel counts on. */
  int generated;
  /** Token ids that end an answer, below 0: none. */
  int terminators[MAX_TERMINATORS];
};

static_assert(sizeof(SamplingParameters) == 64, "the host writes these bytes");

/** The first two words of Philox4x32-10. */
__device__ __forceinline__ u64 philox(u64 seed, u32 counter) {
  u32 c0 = counter, c1 = 0, c2 = 0, c3 = 0;
  u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const u64 a = (u64)0xD2511F53u * c0;
    const u64 b = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(b >> 32) ^ c1 ^ k0;
    c1 = (u32)b;
    c2 = (u32)(a >> 32) ^ c3 ^ k1;
    c3 = (u32)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return (u64)c1 << 32 | c0;
}

__device__ __forceinline__ bool is_bad(float logit) { return !(logit < INFINITY_F); }

/** Of -0 makes 0, which orders like it. */
__device__ __forceinline__ float without_negative_zero(float v) { return __fadd_rn(v, 0.0f); }

/** ids[i] = the largest logit's id, of equal ones the lowest. */
VOCABULARY_KERNEL argmax(const float* logits, int stride, int vocabulary, int* ids) {
  __shared__ RowMaximum maximum;
  wait_for_previous_kernel();
  start_next_kernel();
  const Slice slice(vocabulary);
  const float* row = logits + (long long)slice.row * stride;
  u64 best = 0;
  float largest = -INFINITY_F;
  bool bad = false;
  for (int i = threadIdx.x; i < slice.count; i += VOCABULARY_THREADS) {
    const int id = slice.first + i;
    bad |= is_bad(row[id]);
    best = max(best, candidate(without_negative_zero(row[id]), id));
    largest = fmaxf(largest, row[id]);
  }
  best = maximum.find(best, bad, &largest);
  if (slice.rank == 0 && threadIdx.x == 0) {
    ids[slice.row] = isnan(largest)             ? ROW_NOT_FINITE
                     : largest == -INFINITY_F ? ROW_WITHOUT_TOKEN
                                                : id_of(best);
  }
  row_barrier();  // no block ends while another reads what it found
}

struct SampleShared {
  RowMaximum maximum;
  Histograms histograms;
  u64 mass_of_warp[VOCABULARY_WARPS];
  u64 mass;
  float exponentials_of_warp[VOCABULARY_WARPS];
  float exponentials;
};

__device__ __forceinline__ float penalised(float score, int count, const SamplingParameters& p) {
  if (count > 0) {
    // The division must not make an infinity of a finite score.
    score = score > 0.0f ? fminf(__fdiv_rn(score, p.repetition_penalty), 3.402823466e38f)
                         : __fmul_rn(score, p.repetition_penalty);
    score = __fsub_rn(score, __fmaf_rn((float)count, p.frequency_penalty, p.presence_penalty));
  }
  return score;
}

/** The sum over the row of exp(logit - largest); each warp has given its part. */
__device__ __forceinline__ float sum_exponentials(SampleShared& shared) {
  float sum = 0.0f;
  for (int rank = 0; rank < VOCABULARY_CLUSTER; rank++) {
    sum += peer(&shared, rank)->exponentials;
  }
  return sum;
}

/**
 * Chooses a token of each row.
 *
 * @param parameters [rows]
 * @param counts I32 [count rows, vocabulary], how often each token was generated, or null; the
 *     kernel counts on
 * @param ids the tokens
 * @param logprobs fp32 [rows], natural logarithms of the tokens' probabilities in the logits as they
 *     came, or null
 */
VOCABULARY_KERNEL sample(const float* logits, int stride, int vocabulary,
                         SamplingParameters* parameters, int* counts, float* scratch, int* ids,
                         float* logprobs) {
  extern __shared__ float slice_scores[];
  __shared__ SampleShared shared;
  wait_for_previous_kernel();
  start_next_kernel();
  const Slice slice(vocabulary);
  const SamplingParameters p = parameters[slice.row];
  if (p.temperature < 0.0f) {
    return;
  }
  const int thread = threadIdx.x;
  const int lane = thread % WARP;
  const int warp = thread / WARP;
  const float* row = logits + (long long)slice.row * stride + slice.first;
  float* scores = scratch == nullptr
                      ? slice_scores
                      : scratch + (long long)slice.row * vocabulary + slice.first;
  int* counted = counts == nullptr || p.count_row < 0
                     ? nullptr
                     : counts + (long long)p.count_row * vocabulary + slice.first;

  bool bad = false;
  float largest = -INFINITY_F;
  for (int i = thread; i < slice.count; i += VOCABULARY_THREADS) {
    const float logit = row[i];
    bad |= is_bad(logit);
    largest = fmaxf(largest, logit);
    scores[i] =
        without_negative_zero(counted == nullptr ? logit : penalised(logit, counted[i], p));
  }
  __syncthreads();
  if (p.generated < p.min_new_tokens) {
    if (thread < MAX_TERMINATORS) {
      const int id = parameters[slice.row].terminators[thread];
      if (id >= slice.first && id < slice.first + slice.count) {
        scores[id - slice.first] = -INFINITY_F;
      }
    }
    __syncthreads();
  }
  u64 best = 0;
  for (int i = thread; i < slice.count; i += VOCABULARY_THREADS) {
    best = max(best, candidate(scores[i], slice.first + i));
  }
  best = shared.maximum.find(best, bad, &largest);
  const float max_score = score_of(best);
  int failure = 0;
  if (isnan(largest)) {
    failure = ROW_NOT_FINITE;
  } else if (max_score == -INFINITY_F) {
    failure = ROW_WITHOUT_TOKEN;
  }
  if (failure != 0) {
    if (slice.rank == 0 && thread == 0) {
      ids[slice.row] = failure;
    }
    row_barrier();
    return;
  }

  auto weight_of = [=](float score) {
    // Less the maximum before the division: no temperature, however small, can overflow.
    return fixed_point_exp(__fdiv_rn(__fsub_rn(score, max_score), p.temperature));
  };
  Cut top_k;
  Cut top_p;
  top_k.max_score = max_score;
  top_p.max_score = max_score;
  const bool greedy = p.temperature == 0.0f;
  int turn = 0;
  if (!greedy && p.top_k > 0 && p.top_k < vocabulary) {
    const u64 dropped = vocabulary - p.top_k;
    find_cut(
        shared.histograms, turn, scores, slice, top_k, 0, [](int) { return true; },
        [](int) { return (u64)1; }, [=](u64 sum, u64) { return sum > dropped; });
  }
  if (!greedy && p.drop_mass > 0.0f) {
    find_cut(
        shared.histograms, turn, scores, slice, top_p, WARP - __clz(vocabulary),
        [&](int i) { return top_k.keeps(scores[i], slice.first + i); },
        [&](int i) { return weight_of(scores[i]); },
        [=](u64 sum, u64 total) { return (float)((double)sum / (double)total) > p.drop_mass; });
  }
  auto kept_weight = [&](int i) -> u64 {
    const float score = scores[i];
    const int id = slice.first + i;
    return top_k.keeps(score, id) && top_p.keeps(score, id) ? weight_of(score) : 0;
  };

  // A warp has a run of ids, so that sums of warps are sums of runs.
  const int run = (slice.count + VOCABULARY_THREADS - 1) / VOCABULARY_THREADS * WARP;
  const int run_begin = min(warp * run, slice.count);
  const int run_end = min(run_begin + run, slice.count);
  u64 mass = 0;
  float exponentials = 0.0f;
  for (int i = run_begin + lane; i < run_end; i += WARP) {
    if (!greedy) {
      mass += kept_weight(i);
    }
    if (logprobs != nullptr) {
      exponentials += expf(row[i] - largest);
    }
  }
  mass = warp_sum(mass);
  exponentials = warp_sum(exponentials);
  if (lane == 0) {
    shared.mass_of_warp[warp] = mass;
    shared.exponentials_of_warp[warp] = exponentials;
  }
  __syncthreads();
  if (thread == 0) {
    mass = 0;
    exponentials = 0.0f;
    for (int i = 0; i < VOCABULARY_WARPS; i++) {
      mass += shared.mass_of_warp[i];
      exponentials += shared.exponentials_of_warp[i];
    }
    shared.mass = mass;
    shared.exponentials = exponentials;
  }
  row_barrier();

  int chosen = -1;  // of the slice; known to one thread of the row
  if (greedy) {
    const int at = id_of(best) - slice.first;
    if (at >= 0 && at < slice.count && thread == 0) {
      chosen = at;
    }
  } else {
    u64 total = 0;
    u64 before = 0;
    for (int rank = 0; rank < VOCABULARY_CLUSTER; rank++) {
      const u64 other = peer(&shared, rank)->mass;
      total += other;
      before += rank < slice.rank ? other : 0;
    }
    for (int i = 0; i < warp; i++) {
      before += shared.mass_of_warp[i];
    }
    const u64 target = __umul64hi(philox(p.seed, p.generated), total);
    if (target >= before && target - before < shared.mass_of_warp[warp]) {
      for (int i = run_begin; i < run_end; i += WARP) {
        const u64 sums = warp_scan(i + lane < run_end ? kept_weight(i + lane) : 0);
        const u32 passed = __ballot_sync(FULL_WARP, before + sums > target);
        if (passed != 0) {
          chosen = lane == __ffs(passed) - 1 ? i + lane : -1;
          break;
        }
        before += __shfl_sync(FULL_WARP, sums, WARP - 1);
      }
    }
  }
  if (chosen >= 0) {
    ids[slice.row] = slice.first + chosen;
    parameters[slice.row].generated = p.generated + 1;
    if (counted != nullptr) {
      counted[chosen]++;
    }
    if (logprobs != nullptr) {
      logprobs[slice.row] = row[chosen] - largest - logf(sum_exponentials(shared));
    }
  }
  row_barrier();  // no block ends while another reads what it found
}
