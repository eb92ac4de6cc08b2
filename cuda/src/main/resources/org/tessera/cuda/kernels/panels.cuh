// How matrices lie in shared memory for the products of a warpgroup: in panels of 64 columns, rows
// of 128 bytes, 8 rows a group, and within a group the 16-byte piece i of row r at place i ^ r
// (swizzle of 128 bytes). A panel starts at a multiple of 1,024 bytes.
#pragma once
#include "element.cuh"

constexpr int PANEL = 64;
constexpr int PANEL_ROW_BYTES = 128;

/** Where the piece of a row starts in its panel, in bytes. */
__device__ __forceinline__ int swizzled(int row, int piece) {
  return row * PANEL_ROW_BYTES + (piece ^ row % 8) * 16;
}

/**
 * Names an operand to wgmma.
 *
 * @param leading_bytes from a panel to the next, where columns are not the dimension summed over
 */
__device__ __forceinline__ u64 describe(const void* operand, int leading_bytes) {
  const u64 address = (u32)__cvta_generic_to_shared(operand) >> 4;
  const u64 leading = leading_bytes >> 4;
  const u64 stride = 8 * PANEL_ROW_BYTES >> 4;
  const u64 swizzle_128 = 1;
  return address | leading << 16 | stride << 32 | swizzle_128 << 62;
}
