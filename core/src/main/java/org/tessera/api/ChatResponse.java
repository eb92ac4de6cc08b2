package org.tessera.api;

import java.util.List;

/**
 * A finished answer.
 *
 * @param text without control tokens and outer blanks
 * @param tokenIds the generated ids, the terminator included
 * @param promptTokenIds the ids of the prompt
 * @param logprobs one for each generated token where they were asked for, else empty
 */
public record ChatResponse(
    String text,
    List<Integer> tokenIds,
    List<Integer> promptTokenIds,
    FinishReason finishReason,
    Usage usage,
    Timings timings,
    List<TokenLogprob> logprobs) {
  public ChatResponse {
    tokenIds = List.copyOf(tokenIds);
    promptTokenIds = List.copyOf(promptTokenIds);
    logprobs = List.copyOf(logprobs);
  }
}
