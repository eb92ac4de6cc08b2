package org.tessera.cpu;

/** What becomes of the sums of a linear layer. */
enum LinearEnd {
  STORE,
  STORE_GELU_TANH,
  ADD
}
