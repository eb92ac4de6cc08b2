package org.tessera.plan;

import org.tessera.error.PlanException;
import org.tessera.tensor.DType;

/**
 * What the model is to be run with.
 *
 * @param contextTokens prompt and answer of one sequence, in tokens
 * @param batch sequences at once
 * @param sliceCount slices of pictures that the vision tower takes at once; 0 for text alone
 * @param prefillTokens tokens that the decoder takes in one step, at most
 * @param dtype in which weights are loaded
 */
public record PlanRequest(
    int contextTokens, int batch, int sliceCount, int prefillTokens, DType dtype) {
  public PlanRequest {
    check("context tokens", contextTokens, 1);
    check("batch", batch, 1);
    check("slice count", sliceCount, 0);
    check("prefill tokens", prefillTokens, 1);
  }

  /** Rows of a prompt that a GPU takes at once, at most. */
  public static final int GPU_PREFILL_TOKENS = 8192;

  /** Slices of pictures that a GPU takes at once, at most: those of four large ones. */
  public static final int GPU_SLICES = 40;

  /** The same with another context. */
  public PlanRequest withContextTokens(int tokens) {
    return new PlanRequest(tokens, batch, sliceCount, prefillTokens, dtype);
  }

  /** The same with another number of sequences. */
  public PlanRequest withBatch(int sequences) {
    return new PlanRequest(contextTokens, sequences, sliceCount, prefillTokens, dtype);
  }

  private static void check(String what, int value, int min) {
    if (value < min) {
      throw new PlanException("%s: %d, expected at least %d".formatted(what, value, min));
    }
  }
}
