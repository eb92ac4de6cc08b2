// What the next step of decoding reads, from the tokens of this one, so that steps can follow each
// other without the host.
//
// Shapes: one row a sequence; ids, token_ids, positions, slots, context_rows I32 [rows];
// block_tables I32 [rows, blocks], stride in ints; history I32 [history_steps, rows]; step I32 [1].
// Launch: grid 1, block 256 (or rows rounded up to 32), no dynamic shared memory.
#include "element.cuh"

/** In the history: the row had stopped. */
constexpr int STOPPED = -3;

/**
 * For every row whose slot is not negative: token_ids = ids, position and context rows one more, the
 * slot that block_tables has for the position. A row stops, its slot becoming -1, after a
 * terminator, where ids holds no token (see sample.cu), or where the table has no block (negative,
 * or beyond `blocks`). A stopped row keeps position and context rows, which stay good for reading,
 * and computes token 0. history[step] gets ids, STOPPED for rows that had stopped; step counts on,
 * and past history_steps nothing is noted.
 *
 * @param terminators token ids that end an answer; none: the host stops rows
 */
extern "C" __global__ void advance(const int* ids, int rows, int* token_ids, int* positions,
                                   int* slots, int* context_rows, const int* block_tables,
                                   int table_stride, int blocks, int block_rows,
                                   const int* terminators, int terminator_count, int* history,
                                   int history_steps, int* step) {
  wait_for_previous_kernel();
  start_next_kernel();
  const int now = *step;
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    const bool running = slots[row] >= 0;
    const int id = ids[row];
    if (now < history_steps) {
      history[(long long)now * rows + row] = running ? id : STOPPED;
    }
    bool ends = !running || id < 0;
    for (int i = 0; i < terminator_count; i++) {
      ends |= id == terminators[i];
    }
    int slot = -1;
    if (!ends) {
      const int position = positions[row] + 1;
      const int index = position / block_rows;
      const int block = index < blocks ? block_tables[(long long)row * table_stride + index] : -1;
      if (block >= 0) {
        slot = block * block_rows + position % block_rows;
        positions[row] = position;
        context_rows[row] = position + 1;
      }
    }
    slots[row] = slot;
    token_ids[row] = slot < 0 ? 0 : id;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    *step = now + 1;
  }
}
