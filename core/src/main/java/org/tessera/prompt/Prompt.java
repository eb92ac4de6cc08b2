package org.tessera.prompt;

import java.util.List;

/**
 * A prompt as the model reads it.
 *
 * @param tokenIds pictures as placeholder tokens
 * @param imageSpans in the order of the prompt
 * @param imageTokens placeholder tokens in all spans
 */
public record Prompt(List<Integer> tokenIds, List<ImageSpan> imageSpans, int imageTokens) {
  public Prompt {
    tokenIds = List.copyOf(tokenIds);
    imageSpans = List.copyOf(imageSpans);
  }

  /** The ids as a new array. */
  public int[] toArray() {
    return tokenIds.stream().mapToInt(Integer::intValue).toArray();
  }
}
