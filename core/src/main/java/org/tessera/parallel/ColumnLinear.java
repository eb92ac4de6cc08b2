package org.tessera.parallel;

import org.tessera.device.Workspace;
import org.tessera.error.PlanException;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Cut;
import org.tessera.weights.Weights;

/**
 * A linear layer behind a norm whose outputs are divided over the ranks (rows of the weight):
 * {@code y = norm(x) Wᵀ}. Where the whole result is needed the parts are gathered.
 */
public final class ColumnLinear {
  private final Rank rank;
  private final Matrix weight;

  private ColumnLinear(Rank rank, Matrix weight) {
    this.rank = rank;
    this.weight = weight;
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
    return new ColumnLinear(rank, weights.at(name).matrix("weight", outputs, inputs, cut));
  }

  /** A layer over a matrix that is on the device already, whole. */
  public static ColumnLinear of(Matrix weight, Rank rank) {
    return new ColumnLinear(rank, weight);
  }

  /** All outputs of the normalised x on every rank: out [n, outputs]. */
  public void forward(Tensor x, RmsNorm norm, Tensor out, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor scratch = workspace.allocate(x.rows(), x.columns());
      if (weight.rows() == out.columns()) {
        rank.ops().normLinear(x, norm, weight, scratch, out);
        return;
      }
      Tensor local = workspace.allocate(out.dtype(), x.rows(), weight.rows());
      rank.ops().normLinear(x, norm, weight, scratch, local);
      rank.collective().allGatherColumns(local, out);
    }
  }
}
