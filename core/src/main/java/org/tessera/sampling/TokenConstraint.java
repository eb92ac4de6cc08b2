package org.tessera.sampling;

/** What rules tokens out of one answer while it grows. For one thread. */
public interface TokenConstraint {
  /**
   * The tokens that may come next, one bit each: bit {@code id % 64} of word {@code id / 64}. A
   * terminator is among them exactly where the answer may end. Not to be changed.
   *
   * @throws org.tessera.error.InvalidRequestException where they take too long to find
   */
  long[] allowed();

  /**
   * Takes the next token.
   *
   * @throws org.tessera.error.GenerationException where it is not allowed
   */
  void accept(int tokenId);
}
