package org.tessera.ops;

import org.tessera.tensor.Tensor;

/**
 * A root-mean-square norm.
 *
 * @param weight [1, columns]
 */
public record RmsNorm(Tensor weight, float eps) {}
