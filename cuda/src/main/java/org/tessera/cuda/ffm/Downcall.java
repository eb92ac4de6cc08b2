package org.tessera.cuda.ffm;

/** What the method handles of native functions declare but never throw. */
final class Downcall {
  private Downcall() {}

  /** Native functions throw nothing; what arrives is an error of the VM or a bug of ours. */
  static RuntimeException impossible(Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    if (thrown instanceof RuntimeException exception) {
      throw exception;
    }
    throw new IllegalStateException(thrown);
  }
}
