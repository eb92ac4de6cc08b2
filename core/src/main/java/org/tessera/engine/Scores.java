package org.tessera.engine;

/** What the model says may follow a sequence, as far as its decoding asked for it. */
sealed interface Scores {
  /** All of it, [vocab_size]. */
  @SuppressWarnings("ArrayRecordComponent") // lives for one step
  record Logits(float[] values) implements Scores {}

  /** The likeliest token, found on the device; or the {@code Ops.argmax} value for none. */
  record Likeliest(int tokenId) implements Scores {}
}
