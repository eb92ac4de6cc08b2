package org.tessera.ops;

import org.tessera.tensor.Tensor;

/**
 * Rows of several sequences packed one after the other without padding.
 *
 * @param starts I32 [1, count + 1]: segment {@code i} has rows {@code starts[i]} to {@code
 *     starts[i+1]}
 * @param count number of segments
 * @param longest rows of the longest segment
 */
public record Segments(Tensor starts, int count, int longest) {}
