package org.tessera.weights;

/** Told how far loading has come; called by one thread at a time, possibly by different ones. */
@FunctionalInterface
public interface LoadProgress {
  /** Tells nobody. */
  LoadProgress NONE = (doneBytes, totalBytes) -> {};

  /**
   * Another tensor was fetched for the first time.
   *
   * @param doneBytes bytes, as stored, of the tensors fetched so far; never decreases
   * @param totalBytes bytes of all tensors. A model that leaves some unused ends below it
   */
  void fetched(long doneBytes, long totalBytes);
}
