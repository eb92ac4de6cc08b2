package org.tessera.engine;

import java.util.List;
import org.tessera.api.FinishReason;

/**
 * How a generation ended.
 *
 * @param tokenIds generated ids, the terminator included
 * @param cachedTokens prompt positions that were in the cache already
 * @param encodedSlices slices that went through the vision tower
 * @param queueNanos from submission to its first turn
 * @param visionNanos time in the vision tower and resampler
 * @param prefillNanos time in the decoder over the prompt
 * @param firstTokenNanos from submission to the first token
 * @param decodeNanos from the first token to the last
 */
public record GenerationResult(
    List<Integer> tokenIds,
    FinishReason finishReason,
    int cachedTokens,
    int encodedSlices,
    long queueNanos,
    long visionNanos,
    long prefillNanos,
    long firstTokenNanos,
    long decodeNanos) {
  public GenerationResult {
    tokenIds = List.copyOf(tokenIds);
  }
}
