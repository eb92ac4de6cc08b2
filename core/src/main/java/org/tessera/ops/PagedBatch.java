package org.tessera.ops;

import org.tessera.tensor.Tensor;

/**
 * What one step of the decoder computes: new rows of several sequences, packed, whose keys and
 * values live in blocks of a paged cache.
 *
 * @param queries the new rows of each sequence
 * @param positions I32 [1, rows]: position of each new row in its sequence
 * @param slots I32 [1, rows]: row of the cache into which its key and value go
 * @param contextRows I32 [1, count]: rows of each sequence in the cache once the new ones are in
 * @param blockTables I32 [count, widest]: block numbers of each sequence, in order
 * @param longestContext the largest of {@code contextRows}
 */
public record PagedBatch(
    Segments queries,
    Tensor positions,
    Tensor slots,
    Tensor contextRows,
    Tensor blockTables,
    int longestContext) {}
