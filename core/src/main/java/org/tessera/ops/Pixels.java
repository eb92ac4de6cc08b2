package org.tessera.ops;

/**
 * A picture in host memory as it is cut into patches: channels interleaved, pixels row by row.
 *
 * @param bytes at least {@code patchRows * side} rows of {@code width * channels}; not to be
 *     changed while it is in use
 * @param width pixels of a row, at least {@code patchColumns * side}; those beyond belong to no
 *     patch
 * @param patchRows rows of patches, at least 1
 * @param patchColumns patches of a row, at least 1
 */
@SuppressWarnings("ArrayRecordComponent") // handed to the device as it is
public record Pixels(byte[] bytes, int width, int patchRows, int patchColumns) {
  /** Number of patches. */
  public int patchCount() {
    return Math.multiplyExact(patchRows, patchColumns);
  }
}
