package org.tessera.api;

import java.util.List;

/**
 * Tokens that wait for what follows them, without a conversation around them.
 *
 * @param promptIds as {@link Tessera#tokenize} gives them
 * @param cacheSalt as that of {@link InputOptions}
 */
public record CompletionRequest(
    List<Integer> promptIds, GenerationOptions generation, String cacheSalt) {
  public CompletionRequest {
    promptIds = List.copyOf(promptIds);
  }
}
