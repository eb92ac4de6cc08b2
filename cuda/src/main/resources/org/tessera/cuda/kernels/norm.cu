// Norms of rows, any width, stride and alignment.
//
// Shapes: x, out, in_out [rows, columns], weight and bias [columns]; strides in elements. What
// weight and bias hold must not come from the kernel before: they are read before its end.
// Launch: any grid, block 256, no dynamic shared memory. Rows of up to 8192 aligned columns
// (columns and strides multiples of 8, pointers of 16 bytes) are read once and stay in registers;
// up to 1280 such columns a warp takes a row, so that rows / 8 blocks do each once, beyond a block.
// Other rows are read again for each pass.
#include "element.cuh"

constexpr int NORM_THREADS = 256;
/** What a warp takes alone: five vectors a thread. */
constexpr int SHORT_VECTORS = 5;

struct Norm {
  const element* x;
  int x_stride;
  /** Where given, the row is added to it first, and the sum, rounded, is what the norm is of. */
  element* residual;
  int residual_stride;
  const element* weight;
  /** Of a layer norm alone. */
  const element* bias;
  float eps;
  element* out;
  int out_stride;
  int rows;
  int columns;
};

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

/** A row as it lies in memory, shared by THREADS threads; zeros beyond its end. */
template <int THREADS, int HELD>
struct HeldRow {
  uint4 vectors[HELD];

  static __device__ __forceinline__ int column(int i) {
    return (i * THREADS + (int)threadIdx.x % THREADS) * VECTOR;
  }

  __device__ __forceinline__ void load(const element* row, int columns) {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      vectors[i] =
          column(i) < columns ? *(const uint4*)(row + column(i)) : make_uint4(0, 0, 0, 0);
    }
  }

  __device__ __forceinline__ void store(element* row, int columns) const {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      if (column(i) < columns) {
        *(uint4*)(row + column(i)) = vectors[i];
      }
    }
  }

  __device__ __forceinline__ void add(const HeldRow& other) {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      Floats8 a = unpack(vectors[i]);
      const Floats8 b = unpack(other.vectors[i]);
#pragma unroll
      for (int j = 0; j < VECTOR; j++) {
        a.at[j] += b.at[j];
      }
      vectors[i] = pack(a);
    }
  }

  static __device__ __forceinline__ float total(float v) {
    return THREADS == WARP ? warp_sum(v) : block_sum(v);
  }

  /** Makes the compiler unpack anew what comes next: kept as floats a row takes twice the space. */
  __device__ __forceinline__ void stay_packed() {
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      asm volatile(""
                   : "+r"(vectors[i].x), "+r"(vectors[i].y), "+r"(vectors[i].z),
                     "+r"(vectors[i].w));
    }
  }

  __device__ __forceinline__ float sum() const {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      const Floats8 f = unpack(vectors[i]);
#pragma unroll
      for (int j = 0; j < VECTOR; j++) {
        sum += f.at[j];
      }
    }
    return total(sum);
  }

  __device__ __forceinline__ float squares(float mean, int columns) const {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      const Floats8 f = unpack(vectors[i]);
      if (column(i) < columns) {
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
          const float d = f.at[j] - mean;
          sum += d * d;
        }
      }
    }
    return total(sum);
  }

  /** Vector i of (row - mean) * scale * weight + bias. */
  __device__ __forceinline__ uint4 finished(int i, float mean, float scale, uint4 weight,
                                            uint4 bias) const {
    Floats8 f = unpack(vectors[i]);
    const Floats8 w = unpack(weight);
    const Floats8 b = unpack(bias);
#pragma unroll
    for (int j = 0; j < VECTOR; j++) {
      f.at[j] = (f.at[j] - mean) * scale * w.at[j] + b.at[j];
    }
    return pack(f);
  }
};

/** Rows in registers. A block takes several at a time where THREADS are fewer than it has. */
template <bool CENTRED, int THREADS, int HELD>
__device__ __forceinline__ void norm_held(const Norm& n) {
  constexpr int ROWS = NORM_THREADS / THREADS;
  // A block that has few vectors a thread waits for memory once: it asks for all at the same time.
  // A warp has no registers to spare for that, and other warps to wait for.
  constexpr bool EARLY = HELD <= 2;
  const int first = blockIdx.x * ROWS + threadIdx.x / THREADS;
  HeldRow<THREADS, HELD> weight{}, bias{};
  if (EARLY) {
    weight.load(n.weight, n.columns);
    if (CENTRED) {
      bias.load(n.bias, n.columns);
    }
  }
  wait_for_previous_kernel();
  start_next_kernel();
  for (int r = first; r < n.rows; r += gridDim.x * ROWS) {
    HeldRow<THREADS, HELD> row;
    row.load(row_of(n.x, r, n.x_stride), n.columns);
    if (n.residual != nullptr) {
      element* sum = row_of(n.residual, r, n.residual_stride);
      HeldRow<THREADS, HELD> other;
      other.load(sum, n.columns);
      row.add(other);
      row.store(sum, n.columns);
    }
    const float mean = CENTRED ? row.sum() / n.columns : 0.0f;
    row.stay_packed();
    const float variance = row.squares(mean, n.columns) / n.columns;
    row.stay_packed();
    if (EARLY) {
      weight.stay_packed();
      bias.stay_packed();
    }
    const float scale = rsqrtf(variance + n.eps);
    element* out = row_of(n.out, r, n.out_stride);
#pragma unroll
    for (int i = 0; i < HELD; i++) {
      const int c = HeldRow<THREADS, HELD>::column(i);
      if (c < n.columns) {
        const uint4 w = EARLY ? weight.vectors[i] : *(const uint4*)(n.weight + c);
        const uint4 b = !CENTRED ? make_uint4(0, 0, 0, 0)
                        : EARLY  ? bias.vectors[i]
                                 : *(const uint4*)(n.bias + c);
        *(uint4*)(out + c) = row.finished(i, mean, scale, w, b);
      }
    }
  }
}

/** Rows of any width and alignment, one element at a time. */
template <bool CENTRED>
__device__ __forceinline__ void norm_any(const Norm& n) {
  wait_for_previous_kernel();
  start_next_kernel();
  for (int r = blockIdx.x; r < n.rows; r += gridDim.x) {
    const element* x = row_of(n.x, r, n.x_stride);
    element* residual = n.residual == nullptr ? nullptr : row_of(n.residual, r, n.residual_stride);
    element* out = row_of(n.out, r, n.out_stride);
    float sum = 0.0f;
    if (CENTRED || residual != nullptr) {
      for (int c = threadIdx.x; c < n.columns; c += NORM_THREADS) {
        if (residual != nullptr) {
          residual[c] = to_element(to_float(residual[c]) + to_float(x[c]));
        }
        sum += to_float(x[c]);
      }
    }
    // Each thread reads again what it wrote itself.
    const element* source = residual != nullptr ? residual : x;
    const float mean = CENTRED ? block_sum(sum) / n.columns : 0.0f;
    float squares = 0.0f;
    for (int c = threadIdx.x; c < n.columns; c += NORM_THREADS) {
      const float d = to_float(source[c]) - mean;
      squares += d * d;
    }
    const float scale = rsqrtf(block_sum(squares) / n.columns + n.eps);
    for (int c = threadIdx.x; c < n.columns; c += NORM_THREADS) {
      const float y = (to_float(source[c]) - mean) * scale * to_float(n.weight[c]);
      out[c] = to_element(CENTRED ? y + to_float(n.bias[c]) : y);
    }
  }
}

/** CENTRED: the mean is taken off (layer norm). */
template <bool CENTRED>
__device__ __forceinline__ void norm(const Norm& n) {
  const bool aligned = n.columns % VECTOR == 0 && is_aligned(n.x, n.x_stride) &&
                       is_aligned(n.residual, n.residual_stride) && is_aligned(n.weight, 0) &&
                       is_aligned(n.bias, 0) && is_aligned(n.out, n.out_stride);
  if (!aligned || n.columns > 4 * NORM_THREADS * VECTOR) {
    norm_any<CENTRED>(n);
  } else if (n.columns <= SHORT_VECTORS * WARP * VECTOR) {
    norm_held<CENTRED, WARP, SHORT_VECTORS>(n);
  } else if (n.columns <= 2 * NORM_THREADS * VECTOR) {
    norm_held<CENTRED, NORM_THREADS, 2>(n);
  } else {
    norm_held<CENTRED, NORM_THREADS, 4>(n);
  }
}

/** out = x / sqrt(mean(x²) + eps) * weight. */
extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    rms_norm(const element* x, int x_stride, const element* weight, float eps, element* out,
             int out_stride, int rows, int columns) {
  norm<false>({x, x_stride, nullptr, 0, weight, nullptr, eps, out, out_stride, rows, columns});
}

/** in_out += x, then out = in_out / sqrt(mean(in_out²) + eps) * weight. */
extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    add_rms_norm(const element* x, int x_stride, element* in_out, int in_out_stride,
                 const element* weight, float eps, element* out, int out_stride, int rows,
                 int columns) {
  norm<false>({x, x_stride, in_out, in_out_stride, weight, nullptr, eps, out, out_stride, rows,
               columns});
}

/** out = (x - mean) / sqrt(var + eps) * weight + bias, biased variance. */
extern "C" __global__ void __launch_bounds__(NORM_THREADS, 4)
    layer_norm(const element* x, int x_stride, const element* weight, const element* bias,
               float eps, element* out, int out_stride, int rows, int columns) {
  norm<true>({x, x_stride, nullptr, 0, weight, bias, eps, out, out_stride, rows, columns});
}
