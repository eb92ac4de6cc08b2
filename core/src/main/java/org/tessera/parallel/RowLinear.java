package org.tessera.parallel;

import org.tessera.device.Workspace;
import org.tessera.ops.Activation;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Cut;
import org.tessera.weights.Weights;

/**
 * A linear layer without bias whose inputs are divided over the ranks (columns of the weight),
 * added to the residual stream: {@code h += Σ_ranks x Wᵀ}.
 */
public final class RowLinear {
  private final Rank rank;
  private final Matrix weight;

  private RowLinear(Rank rank, Matrix weight) {
    this.rank = rank;
    this.weight = weight;
  }

  /** A layer with weight {@code name.weight} [outputs, inputs]. */
  public static RowLinear load(Weights weights, String name, int outputs, int inputs, Rank rank) {
    Cut cut = Cut.columns(rank.collective().rank(), rank.collective().size());
    return new RowLinear(rank, weights.at(name).matrix("weight", outputs, inputs, cut));
  }

  /**
   * @param x [n, inputs / ranks]
   * @param inOut [n, outputs], the same on every rank before and after
   */
  public void addTo(Tensor x, Tensor inOut, Workspace workspace) {
    if (rank.collective().size() == 1) {
      rank.ops().linearAdd(x, weight, null, inOut);
      return;
    }
    try (var scope = workspace.open()) {
      Tensor partial = workspace.allocate(inOut.rows(), inOut.columns());
      rank.ops().linear(x, weight, null, Activation.NONE, partial);
      rank.collective().allReduceAdd(partial, inOut, rank.ops());
    }
  }
}
