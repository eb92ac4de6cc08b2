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
  /**
   * Checks that the patches are there.
   *
   * @param side of a patch, in pixels
   * @throws IllegalArgumentException where they reach beyond the picture
   */
  public void requirePatches(int side, int channels) {
    long rowBytes = (long) width * channels;
    if (patchRows < 1
        || patchColumns < 1
        || (long) patchColumns * side > width
        || rowBytes * patchRows * side > bytes.length) {
      throw new IllegalArgumentException(
          "%d bytes, %d pixels wide, are no %d x %d patches of %d pixels"
              .formatted(bytes.length, width, patchRows, patchColumns, side));
    }
  }

  /** Number of patches. */
  public int patchCount() {
    return Math.multiplyExact(patchRows, patchColumns);
  }
}
