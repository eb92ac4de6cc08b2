package org.tessera.model;

import org.tessera.config.CheckpointConfig;
import org.tessera.parallel.Rank;
import org.tessera.weights.Weights;

/**
 * A kind of model that can be loaded, found by {@link java.util.ServiceLoader}. This takes the
 * place of the original's {@code trust_remote_code}: code never comes from a checkpoint.
 */
public interface Architecture {
  /** As a checkpoint's {@code architectures} names it. */
  String name();

  /**
   * Checks what this architecture needs of a checkpoint's configuration.
   *
   * @throws org.tessera.error.CheckpointException with what does not fit
   */
  void check(CheckpointConfig config);

  /**
   * Builds one rank's part of the model, fetching every weight by its path in the checkpoint.
   *
   * @throws org.tessera.error.CheckpointException where a weight is missing, has another shape, or
   *     is none of the model's
   */
  VisionLanguageModel load(CheckpointConfig config, Weights weights, Rank rank);
}
