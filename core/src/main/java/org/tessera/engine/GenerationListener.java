package org.tessera.engine;

import org.tessera.sampling.TokenChoice;

/** Hears of a generation on the engine's thread: it must return soon and never block. */
public interface GenerationListener {
  /**
   * A token was chosen. Beam search reports all at its end.
   *
   * @return false to end the answer here
   */
  boolean onToken(TokenChoice choice);

  /** The last call of a generation that ended as it should. */
  void onFinished(GenerationResult result);

  /** The last call of a generation that failed. */
  void onFailed(RuntimeException cause);
}
