package org.tessera.ops;

import org.tessera.tensor.Tensor;

/**
 * The paged key/value cache of one decoder layer. Row {@code block * blockRows + i} is the {@code
 * i}-th position of a block.
 *
 * @param keys [blocks * blockRows, keyValueHeads * width], rotated already
 * @param values likewise
 * @param blockRows positions a block
 */
public record KvLayer(Tensor keys, Tensor values, int blockRows) {}
