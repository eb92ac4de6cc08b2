// Linear layers for 1 to 16 rows: gemv.cuh says how, this file what becomes of the results.
//
// Shapes: x [n, columns], w [rows, columns], out [n, rows], bias [rows] or null; strides are in
// elements, l2_ahead in steps. Kernels *_m8 take n of 1 to 8, *_m16 1 to 16.
// Launch: grid the number of SMs (a multiple of GEMV_CLUSTER; fewer for small matrices is allowed),
// block 256, dynamic shared bytes gemv_shared_bytes[0] for _m8 and [1] for _m16, for which the
// function's limit must be raised. The cluster is a property of the kernel: launch it plainly.
// Alignment: x, w and norm_weight on 16 bytes, columns and their strides multiples of 8.
// The matrix and norm_weight must not be written by the kernel before: they are read before it ends.
// linear_any takes any shape and alignment.
#include "gemv.cuh"

extern "C" __device__ int gemv_shared_bytes[2] = {sizeof(GemvShared<1>), sizeof(GemvShared<2>)};

enum Mode { STORE, STORE_F32, ADD };

template <Mode MODE>
__device__ __forceinline__ void put(void* out, long long at, int activation, float y) {
  if (MODE == STORE_F32) {
    ((float*)out)[at] = activate(activation, y);
  } else if (MODE == STORE) {
    ((element*)out)[at] = to_element(activate(activation, y));
  } else {
    element* target = (element*)out + at;
    *target = to_element(to_float(*target) + y);
  }
}

template <int HALVES, bool NORM, Mode MODE>
__device__ __forceinline__ void linear(const GemvInput& in, int rows, const element* bias,
                                       int activation, void* out, int out_stride) {
  run_gemv<HALVES, NORM, TILE>(
      in, (rows + TILE - 1) / TILE,
      [=](int tile, int row) { return min(tile * TILE + row, rows - 1); },
      [=](int tile, int x_row, int i, const TileSums<HALVES, NORM>& sum) {
        const int row = tile * TILE + i;
        if (row < rows) {
          const float y = sum(i) + (bias == nullptr ? 0.0f : to_float(bias[row]));
          put<MODE>(out, (long long)x_row * out_stride + row, activation, y);
        }
      });
}

constexpr int HALF_TILE = TILE / 2;

/** w is [2 rows, columns], gates then ups; a tile is 4 gates and their ups. */
template <int HALVES>
__device__ __forceinline__ void swiglu(const GemvInput& in, int rows, element* out,
                                       int out_stride) {
  run_gemv<HALVES, true, HALF_TILE>(
      in, (rows + HALF_TILE - 1) / HALF_TILE,
      [=](int tile, int row) {
        return row / HALF_TILE * rows + min(tile * HALF_TILE + row % HALF_TILE, rows - 1);
      },
      [=](int tile, int x_row, int i, const TileSums<HALVES, true>& sum) {
        const int row = tile * HALF_TILE + i;
        if (row < rows) {
          row_of(out, x_row, out_stride)[row] = to_element(silu(sum(i)) * sum(HALF_TILE + i));
        }
      });
}

/** Where the rotated query, key and value rows go. */
struct QkvOutput {
  const element* bias;
  const int* positions;
  const int* slots;
  const float* inverse_frequencies;
  int query_heads;
  int kv_heads;
  int head_width;
  element* q_out;
  int q_out_stride;
  element* keys;
  int keys_stride;
  element* values;
  int values_stride;
};

/** A tile is 4 rows of the first half of a head and their partners of the second half. */
template <int HALVES>
__device__ __forceinline__ void qkv(const GemvInput& in, const QkvOutput& to) {
  const int half = to.head_width / 2;
  const int head_tiles = half / HALF_TILE;
  const int heads = to.query_heads + 2 * to.kv_heads;
  run_gemv<HALVES, true, HALF_TILE>(
      in, heads * head_tiles,
      [=](int tile, int row) {
        return tile / head_tiles * to.head_width + row / HALF_TILE * half +
               tile % head_tiles * HALF_TILE + row % HALF_TILE;
      },
      [=](int tile, int x_row, int i, const TileSums<HALVES, true>& sum) {
        const int head = tile / head_tiles;
        const int j = tile % head_tiles * HALF_TILE + i;
        const int row = head * to.head_width + j;
        float a = sum(i);
        float b = sum(HALF_TILE + i);
        if (to.bias != nullptr) {
          a += to_float(to.bias[row]);
          b += to_float(to.bias[row + half]);
        }
        const int position = to.positions[x_row];
        const int slot = to.slots[x_row];
        if (head < to.query_heads + to.kv_heads) {
          float sine, cosine;
          sine_cosine(max(position, 0) * to.inverse_frequencies[j], &sine, &cosine);
          const float turned = a * cosine - b * sine;
          b = b * cosine + a * sine;
          a = turned;
        }
        element* target;
        if (head < to.query_heads) {
          target = row_of(to.q_out, x_row, to.q_out_stride) + row;
        } else if (slot < 0) {
          return;
        } else if (head < to.query_heads + to.kv_heads) {
          target = row_of(to.keys, slot, to.keys_stride);
          target += (head - to.query_heads) * to.head_width + j;
        } else {
          target = row_of(to.values, slot, to.values_stride);
          target += (head - to.query_heads - to.kv_heads) * to.head_width + j;
        }
        target[0] = to_element(a);
        target[half] = to_element(b);
      });
}

#if TESSERA_BULK_COPIES && GEMV_CLUSTER > 1
#define GEMV_CLUSTER_SHAPE __cluster_dims__(GEMV_CLUSTER, 1, 1)
#else
#define GEMV_CLUSTER_SHAPE
#endif

#define GEMV_KERNEL         \
  extern "C" __global__ void GEMV_CLUSTER_SHAPE \
      __launch_bounds__(GEMV_THREADS, GEMV_BLOCKS_PER_SM)

#define GEMV_KERNELS(SUFFIX, HALVES)                                                              \
  /** out = activation(x wᵀ + bias). */                                                          \
  GEMV_KERNEL gemv##SUFFIX(const element* x, int x_stride, int n, const element* w, int w_stride, \
                           int rows, int columns, const element* bias, int activation,            \
                           element* out, int out_stride, int l2_ahead) {                          \
    linear<HALVES, false, STORE>({x, x_stride, n, w, w_stride, columns, nullptr, 0.0f, l2_ahead}, \
                                 rows, bias, activation, out, out_stride);                        \
  }                                                                                               \
  GEMV_KERNEL gemv_f32##SUFFIX(const element* x, int x_stride, int n, const element* w,           \
                               int w_stride, int rows, int columns, const element* bias,          \
                               int activation, float* out, int out_stride, int l2_ahead) {        \
    linear<HALVES, false, STORE_F32>(                                                             \
        {x, x_stride, n, w, w_stride, columns, nullptr, 0.0f, l2_ahead}, rows, bias, activation,  \
        out, out_stride);                                                                         \
  }                                                                                               \
  /** in_out += x wᵀ + bias. */                                                                  \
  GEMV_KERNEL gemv_add##SUFFIX(const element* x, int x_stride, int n, const element* w,           \
                               int w_stride, int rows, int columns, const element* bias,          \
                               element* in_out, int in_out_stride, int l2_ahead) {                \
    linear<HALVES, false, ADD>({x, x_stride, n, w, w_stride, columns, nullptr, 0.0f, l2_ahead},   \
                               rows, bias, 0, in_out, in_out_stride);                             \
  }                                                                                               \
  /** As gemv, of rms_norm(x, norm_weight, eps). */                                               \
  GEMV_KERNEL gemv_norm##SUFFIX(const element* x, int x_stride, int n, const element* w,          \
                                int w_stride, int rows, int columns,                              \
                                const element* norm_weight, float eps, const element* bias,       \
                                int activation, element* out, int out_stride, int l2_ahead) {     \
    linear<HALVES, true, STORE>({x, x_stride, n, w, w_stride, columns, norm_weight, eps,          \
                                 l2_ahead},                                                       \
                                rows, bias, activation, out, out_stride);                         \
  }                                                                                               \
  GEMV_KERNEL gemv_norm_f32##SUFFIX(const element* x, int x_stride, int n, const element* w,      \
                                    int w_stride, int rows, int columns,                          \
                                    const element* norm_weight, float eps, const element* bias,   \
                                    int activation, float* out, int out_stride, int l2_ahead) {   \
    linear<HALVES, true, STORE_F32>({x, x_stride, n, w, w_stride, columns, norm_weight, eps,      \
                                     l2_ahead},                                                   \
                                    rows, bias, activation, out, out_stride);                     \
  }                                                                                               \
  /** out = silu(gate) * up of rms_norm(x), w being [2 rows, columns], gates first. */            \
  GEMV_KERNEL gemv_norm_swiglu##SUFFIX(const element* x, int x_stride, int n, const element* w,   \
                                       int w_stride, int rows, int columns,                       \
                                       const element* norm_weight, float eps, element* out,       \
                                       int out_stride, int l2_ahead) {                            \
    swiglu<HALVES>({x, x_stride, n, w, w_stride, columns, norm_weight, eps, l2_ahead}, rows, out, \
                   out_stride);                                                                   \
  }                                                                                               \
  /** Queries of rms_norm(x), rotated, into q_out; keys, rotated, and values into cache rows      \
      slots[i]. w is [(query_heads + 2 kv_heads) * head_width, columns]; head_width is a multiple \
      of 8. Rows whose slot is negative leave the cache alone. */                                 \
  GEMV_KERNEL gemv_norm_qkv##SUFFIX(                                                              \
      const element* x, int x_stride, int n, const element* w, int w_stride, int columns,         \
      const element* norm_weight, float eps, const element* bias, const int* positions,           \
      const int* slots, const float* inverse_frequencies, int query_heads, int kv_heads,          \
      int head_width, element* q_out, int q_out_stride, element* keys, int keys_stride,           \
      element* values, int values_stride, int l2_ahead) {                                         \
    qkv<HALVES>({x, x_stride, n, w, w_stride, columns, norm_weight, eps, l2_ahead},               \
                {bias, positions, slots, inverse_frequencies, query_heads, kv_heads, head_width,  \
                 q_out, q_out_stride, keys, keys_stride, values, values_stride});                 \
  }

GEMV_KERNELS(_m8, 1)
GEMV_KERNELS(_m16, 2)

/**
 * Any n, shape and alignment, slowly: a warp a result. mode: 0 store, 1 store fp32, 2 add.
 * Grid (rows / 8 rounded up, up to n), block 256.
 */
extern "C" __global__ void __launch_bounds__(256)
    linear_any(const element* x, int x_stride, int n, const element* w, int w_stride, int rows,
               int columns, const element* bias, int activation, void* out, int out_stride,
               int mode) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
  const int lane = threadIdx.x % WARP;
  if (row >= rows) {
    return;
  }
  const element* w_row = row_of(w, row, w_stride);
  for (int i = blockIdx.y; i < n; i += gridDim.y) {
    const element* x_row = row_of(x, i, x_stride);
    float sum = 0.0f;
    for (int c = lane; c < columns; c += WARP) {
      sum += to_float(x_row[c]) * to_float(w_row[c]);
    }
    sum = warp_sum(sum);
    if (lane != 0) {
      continue;
    }
    sum += bias == nullptr ? 0.0f : to_float(bias[row]);
    const long long at = (long long)i * out_stride + row;
    if (mode == STORE_F32) {
      put<STORE_F32>(out, at, activation, sum);
    } else if (mode == STORE) {
      put<STORE>(out, at, activation, sum);
    } else {
      put<ADD>(out, at, activation, sum);
    }
  }
}
