package org.tessera.engine;

/** What the model says may follow a sequence, as far as its decoding asked for it. */
sealed interface Scores {
  /** All of it, [vocab_size]. */
  @SuppressWarnings("ArrayRecordComponent") // lives for one step
  record Logits(float[] values) implements Scores {}

  /** One token, chosen on the device; or what {@code Ops.argmax} gives where there is none. */
  record Chosen(int tokenId) implements Scores {}
}
