package org.tessera.model;

import java.util.List;
import org.tessera.config.CheckpointConfig;
import org.tessera.parallel.ModelPart;
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
   * @throws org.tessera.error.CheckpointException where a weight is missing or has another shape
   */
  VisionLanguageModel load(CheckpointConfig config, Weights weights, Rank rank);

  /**
   * Whether a checkpoint may hold a tensor that nobody fetches. Any other such tensor shows that
   * the checkpoint was made for another model.
   *
   * @param name whole name of the tensor
   * @param parts all parts that were loaded
   */
  boolean mayBeUnused(String name, CheckpointConfig config, List<ModelPart> parts);
}
