package org.tessera.prompt;

/**
 * Where the vectors of one overview or slice replace placeholder tokens.
 *
 * @param imageIndex of the picture in the whole prompt, from 0
 * @param sliceIndex 0 for the overview, then the slices row by row from 1
 * @param start index of the first placeholder token
 * @param length placeholder tokens, the model's {@code query_num}
 */
public record ImageSpan(int imageIndex, int sliceIndex, int start, int length) {
  /** Index after the last placeholder token. */
  public int end() {
    return start + length;
  }
}
