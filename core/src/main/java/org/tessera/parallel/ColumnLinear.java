package org.tessera.parallel;

import org.jspecify.annotations.Nullable;
import org.tessera.device.Workspace;
import org.tessera.error.PlanException;
import org.tessera.ops.Activation;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Cut;
import org.tessera.weights.Weights;

/**
 * A linear layer whose outputs are divided over the ranks (rows of the weight): {@code y = x Wᵀ +
 * b}. Where the whole result is needed the parts are gathered.
 */
public final class ColumnLinear {
  private final Rank rank;
  private final Matrix weight;
  private final @Nullable Tensor bias;

  private ColumnLinear(Rank rank, Matrix weight, @Nullable Tensor bias) {
    this.rank = rank;
    this.weight = weight;
    this.bias = bias;
  }

  /** A layer with weight {@code name.weight} [outputs, inputs] and no bias. */
  public static ColumnLinear load(
      Weights weights, String name, int outputs, int inputs, Rank rank) {
    int size = rank.collective().size();
    if (outputs % size != 0) {
      throw new PlanException(
          "%s has %d outputs, which %d ranks cannot share evenly".formatted(name, outputs, size));
    }
    Cut cut = Cut.rows(rank.collective().rank(), size);
    return new ColumnLinear(
        rank, weights.at(name).matrix("weight", outputs, inputs, cut), /* bias= */ null);
  }

  /** A layer over a matrix that is on the device already, whole. */
  public static ColumnLinear of(Matrix weight, Rank rank) {
    return new ColumnLinear(rank, weight, /* bias= */ null);
  }

  /** All outputs on every rank: out [n, outputs]. */
  public void forward(Tensor x, Tensor out, Workspace workspace) {
    if (weight.rows() == out.columns()) {
      rank.ops().linear(x, weight, bias, Activation.NONE, out);
      return;
    }
    try (var scope = workspace.open()) {
      Tensor local = workspace.allocate(out.dtype(), x.rows(), weight.rows());
      rank.ops().linear(x, weight, bias, Activation.NONE, local);
      rank.collective().allGatherColumns(local, out);
    }
  }
}
