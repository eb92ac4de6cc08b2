// Norms of rows, any width, stride and alignment.
//
// Shapes: x, out, in_out [rows, columns], weight and bias [columns]; strides in elements.
// Launch: grid rows, block 256, no dynamic shared memory. Rows of up to 8192 aligned columns
// (columns and strides multiples of 8, pointers of 16 bytes) are read once and stay in registers;
// others are read again for each pass.
#include "element.cuh"

constexpr int NORM_THREADS = 256;
/** Vectors of a row that a thread keeps. */
constexpr int HELD = 4;

/** The sum over the block, for every thread. */
__device__ __forceinline__ float block_sum(float v) {
  __shared__ float partial[NORM_THREADS / WARP];
  v = warp_sum(v);
  __syncthreads();  // the sums of the call before have been read
  if (threadIdx.x % WARP == 0) {
    partial[threadIdx.x / WARP] = v;
  }
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < NORM_THREADS / WARP; i++) {
    total += partial[i];
  }
  return total;
}

/** A row in registers, zeros beyond its end. */
struct HeldRow {
  Floats8 vectors[HELD];

  static __device__ __forceinline__ int column(int i) {
    return (i * NORM_THREADS + (int)threadIdx.x) * VECTOR;
  }

  __device__ __forceinline__ void load(const element* row, int columns) {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      vectors[i] = unpack(column(i) < columns ? *(const uint4*)(row + column(i))
                                              : make_uint4(0, 0, 0, 0));
    }
  }

  /** Adds another row and stores the sum, rounded, in its place. */
  __device__ __forceinline__ void add_into(element* row, int columns) {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      if (column(i) < columns) {
        const Floats8 other = unpack(*(const uint4*)(row + column(i)));
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
          vectors[i].at[j] += other.at[j];
        }
        const uint4 rounded = pack(vectors[i]);
        *(uint4*)(row + column(i)) = rounded;
        vectors[i] = unpack(rounded);
      }
    }
  }

  __device__ __forceinline__ float sum() const {
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
#pragma unroll
      for (int j = 0; j < VECTOR; j++) {
        total += vectors[i].at[j];
      }
    }
    return total;
  }

  __device__ __forceinline__ float squares(float mean, int columns) const {
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      if (column(i) < columns) {
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
          const float d = vectors[i].at[j] - mean;
          total += d * d;
        }
      }
    }
    return total;
  }

  __device__ __forceinline__ void store(float mean, float scale, const element* weight,
                                        const element* bias, element* out, int columns) const {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      const int c = column(i);
      if (c < columns) {
        const Floats8 w = unpack(*(const uint4*)(weight + c));
        const Floats8 b =
            unpack(bias == nullptr ? make_uint4(0, 0, 0, 0) : *(const uint4*)(bias + c));
        Floats8 y;
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
          y.at[j] = (vectors[i].at[j] - mean) * scale * w.at[j] + b.at[j];
        }
        *(uint4*)(out + c) = pack(y);
      }
    }
  }
};

/** CENTRED: the mean is taken off (layer norm). `residual`: where given, row += residual first. */
template <bool CENTRED>
__device__ __forceinline__ void norm_row(const element* x, element* residual,
                                         const element* weight, const element* bias, float eps,
                                         element* out, int columns, bool aligned) {
  if (aligned && columns <= HELD * NORM_THREADS * VECTOR) {
    HeldRow row;
    row.load(x, columns);
    if (residual != nullptr) {
      row.add_into(residual, columns);
    }
    const float mean = CENTRED ? block_sum(row.sum()) / columns : 0.0f;
    const float variance = block_sum(row.squares(mean, columns)) / columns;
    row.store(mean, rsqrtf(variance + eps), weight, bias, out, columns);
    return;
  }
  float sum = 0.0f;
  if (CENTRED || residual != nullptr) {
    for (int c = threadIdx.x; c < columns; c += NORM_THREADS) {
      if (residual != nullptr) {
        residual[c] = to_element(to_float(residual[c]) + to_float(x[c]));
      }
      sum += to_float(x[c]);
    }
  }
  // Each thread reads again what it wrote itself.
  const element* source = residual != nullptr ? residual : x;
  const float mean = CENTRED ? block_sum(sum) / columns : 0.0f;
  float squares = 0.0f;
  for (int c = threadIdx.x; c < columns; c += NORM_THREADS) {
    const float d = to_float(source[c]) - mean;
    squares += d * d;
  }
  const float scale = rsqrtf(block_sum(squares) / columns + eps);
  for (int c = threadIdx.x; c < columns; c += NORM_THREADS) {
    const float y = (to_float(source[c]) - mean) * scale * to_float(weight[c]);
    out[c] = to_element(y + (bias == nullptr ? 0.0f : to_float(bias[c])));
  }
}

__device__ __forceinline__ bool fits_vectors(const element* x, int x_stride, const element* weight,
                                             const element* bias, const element* out,
                                             int out_stride, int columns) {
  return columns % VECTOR == 0 && is_aligned(x, x_stride) && is_aligned(weight, 0) &&
         is_aligned(bias, 0) && is_aligned(out, out_stride);
}

/** out = x / sqrt(mean(x²) + eps) * weight. */
extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    rms_norm(const element* x, int x_stride, const element* weight, float eps, element* out,
             int out_stride, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = fits_vectors(x, x_stride, weight, nullptr, out, out_stride, columns);
  norm_row<false>(row_of(x, blockIdx.x, x_stride), nullptr, weight, nullptr, eps,
                  row_of(out, blockIdx.x, out_stride), columns, aligned);
}

/** in_out += x, then out = in_out / sqrt(mean(in_out²) + eps) * weight. */
extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    add_rms_norm(const element* x, int x_stride, element* in_out, int in_out_stride,
                 const element* weight, float eps, element* out, int out_stride, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = fits_vectors(x, x_stride, weight, nullptr, out, out_stride, columns) &&
                       is_aligned(in_out, in_out_stride);
  norm_row<false>(row_of(x, blockIdx.x, x_stride), row_of(in_out, blockIdx.x, in_out_stride),
                  weight, nullptr, eps, row_of(out, blockIdx.x, out_stride), columns, aligned);
}

/** out = (x - mean) / sqrt(var + eps) * weight + bias, biased variance. */
extern "C" __global__ void __launch_bounds__(NORM_THREADS)
    layer_norm(const element* x, int x_stride, const element* weight, const element* bias,
               float eps, element* out, int out_stride, int columns) {
  wait_for_previous_kernel();
  start_next_kernel();
  const bool aligned = fits_vectors(x, x_stride, weight, bias, out, out_stride, columns);
  norm_row<true>(row_of(x, blockIdx.x, x_stride), nullptr, weight, bias, eps,
                 row_of(out, blockIdx.x, out_stride), columns, aligned);
}
