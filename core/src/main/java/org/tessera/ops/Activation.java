package org.tessera.ops;

/** What a linear layer applies to its result. */
public enum Activation {
  NONE,
  /** {@code 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))}, PyTorch's gelu with tanh. */
  GELU_TANH
}
