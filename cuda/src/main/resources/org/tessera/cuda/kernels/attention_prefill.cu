// Attention of many rows, over packed segments or over the paged cache; see attention_prefill.cuh.
//
// Launch of every entry point:
//   grid     (query heads, ceil(rows of the longest segment of queries / ROWS), segments); blocks
//            past the end of their segment return at once
//   block    128
//   dynamic shared bytes, above 48 KB, so that the function's limit must be raised first:
//              entry point                 ROWS   bytes
//              attention_w64                128   55,296
//              attention_w72                128   67,584
//              attention_w128               128  104,448
//              attention_w64_short           64   46,080
//              attention_w72_short           64   56,320
//              attention_w128_short          64   87,040
//              attention_paged_w64          128   55,296
//              attention_paged_w128         128  104,448
//              attention_paged_w64_short     64   46,080
//              attention_paged_w128_short    64   87,040
//   choice   the head width by name; _short where no segment has more than 64 rows, or where blocks
//            of 128 rows would be fewer than the multiprocessors
//   alignment  q, k, v: 16 bytes, their strides multiples of 8 elements; out: 4 bytes, stride even
//   scale    positive
// No workspace. Other widths: attention_any.cu.
#include "attention_prefill.cuh"

/** Views of a head and its key/value head. */
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

/**
 * Every row of a segment of queries sees all keys of the segment with the same number. Rows outside
 * the segments are not written; those of a segment without keys become zero.
 *
 * @param q [rows of queries, query heads * WIDTH]
 * @param k [rows of keys, key/value heads * WIDTH]
 * @param v like k
 * @param query_starts [segments + 1]
 * @param key_starts [segments + 1]
 * @param group query heads for each key/value head
 * @param out like q
 */
#define ATTENTION(NAME, WIDTH, ROW_TILES)                                                         \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) NAME(                                  \
      const element* q, int q_stride, const element* k, int k_stride, const element* v,           \
      int v_stride, const int* query_starts, const int* key_starts, int group, float scale,       \
      element* out, int out_stride) {                                                             \
    typedef Prefill<WIDTH, ROW_TILES> Kernel;                                                     \
    wait_for_previous_kernel();                                                                   \
    start_next_kernel();                                                                          \
    const int first = query_starts[blockIdx.z] + blockIdx.y * Kernel::ROWS;                       \
    const int rows = min(query_starts[blockIdx.z + 1] - first, Kernel::ROWS);                     \
    if (rows <= 0) {                                                                              \
      return;                                                                                     \
    }                                                                                             \
    const HeadViews views = of_head<WIDTH>(q, q_stride, k, k_stride, v, v_stride, out,            \
                                           out_stride, group, scale);                             \
    const DenseKeys keys = {key_starts[blockIdx.z]};                                              \
    const int seen = key_starts[blockIdx.z + 1] - keys.first;                                     \
    Kernel kernel(views, first, rows);                                                            \
    kernel.run(keys, [=](int row) { return seen; });                                              \
  }

ATTENTION(attention_w64, 64, 2)
ATTENTION(attention_w72, 72, 2)
ATTENTION(attention_w128, 128, 2)
ATTENTION(attention_w64_short, 64, 1)
ATTENTION(attention_w72_short, 72, 1)
ATTENTION(attention_w128_short, 128, 1)

/**
 * A row at position p sees keys 0 to p of its sequence in the paged cache; one at a negative
 * position becomes zero. Rows outside the segments are not written.
 *
 * @param q [rows, query heads * WIDTH], rotated
 * @param keys [blocks << block_shift, key/value heads * WIDTH], with the new rows' own
 * @param values like keys
 * @param block_shift a block has 1 << block_shift rows
 * @param block_tables [segments, tables_stride] numbers of blocks
 * @param query_starts [segments + 1] first row of each sequence
 * @param positions [rows]
 * @param group query heads for each key/value head
 * @param out like q
 */
#define ATTENTION_PAGED(NAME, WIDTH, ROW_TILES)                                                   \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) NAME(                                  \
      const element* q, int q_stride, const element* keys, int keys_stride,                       \
      const element* values, int values_stride, int block_shift, const int* block_tables,         \
      int tables_stride, const int* query_starts, const int* positions, int group, float scale,   \
      element* out, int out_stride) {                                                             \
    typedef Prefill<WIDTH, ROW_TILES> Kernel;                                                     \
    wait_for_previous_kernel();                                                                   \
    start_next_kernel();                                                                          \
    /* The last tiles see most keys; they start first. */                                         \
    const int tile = gridDim.y - 1 - blockIdx.y;                                                  \
    const int first = query_starts[blockIdx.z] + tile * Kernel::ROWS;                             \
    const int rows = min(query_starts[blockIdx.z + 1] - first, Kernel::ROWS);                     \
    if (rows <= 0) {                                                                              \
      return;                                                                                     \
    }                                                                                             \
    const HeadViews views = of_head<WIDTH>(q, q_stride, keys, keys_stride, values, values_stride, \
                                           out, out_stride, group, scale);                        \
    const ShiftedKeys paged = {row_of(block_tables, blockIdx.z, tables_stride), block_shift};     \
    Kernel kernel(views, first, rows);                                                            \
    kernel.run(paged, [=](int row) { return max(positions[first + row] + 1, 0); });               \
  }

ATTENTION_PAGED(attention_paged_w64, 64, 2)
ATTENTION_PAGED(attention_paged_w128, 128, 2)
ATTENTION_PAGED(attention_paged_w64_short, 64, 1)
ATTENTION_PAGED(attention_paged_w128_short, 128, 1)
