package org.tessera.parallel;

import org.tessera.device.Workspace;
import org.tessera.error.PlanException;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights;

/**
 * A linear layer behind a norm whose outputs are divided over the ranks (rows of the weight):
 * {@code y = norm(x) Wᵀ}. Where the whole result is needed the parts are gathered.
 *
 * <p>Outputs that the ranks cannot share evenly, such as a vocabulary, are padded: every rank has
 * the same number of columns, and what stands in those of the last rank that are no outputs never
 * reaches the result.
 */
public final class ColumnLinear {
  /** Rows at this alignment let fast products store their results. */
  private static final int ALIGNMENT = 8;

  private final Rank rank;
  private final Matrix weight;

  /** Columns of a rank's part, padding included. */
  private final int partColumns;

  private ColumnLinear(Rank rank, Matrix weight, int partColumns) {
    this.rank = rank;
    this.weight = weight;
    this.partColumns = partColumns;
  }

  /**
   * A layer with weight {@code name.weight} [outputs, inputs] and no bias.
   *
   * @throws PlanException where there are too few outputs for every rank to have one
   */
  public static ColumnLinear load(
      Weights weights, String name, int outputs, int inputs, Rank rank) {
    int size = rank.collective().size();
    int partColumns = partColumns(name, outputs, size);
    int from = rank.collective().rank() * partColumns;
    int to = Math.min(outputs, from + partColumns);
    return new ColumnLinear(
        rank, weights.at(name).matrixRows("weight", outputs, inputs, from, to), partColumns);
  }

  private static int partColumns(String name, int outputs, int size) {
    int even = Math.ceilDiv(outputs, size);
    int aligned = Math.ceilDiv(even, ALIGNMENT) * ALIGNMENT;
    int columns = (size - 1) * aligned < outputs ? aligned : even;
    if ((size - 1) * columns >= outputs) {
      throw new PlanException(
          "%s has %d outputs, too few for %d ranks".formatted(name, outputs, size));
    }
    return size == 1 ? outputs : columns;
  }

  /** A layer over a matrix that is on the device already, whole. */
  public static ColumnLinear of(Matrix weight, Rank rank) {
    return new ColumnLinear(rank, weight, weight.rows());
  }

  /**
   * All outputs of the normalised x on every rank: out [n, outputs]. Where its rows have gaps
   * between them, padding may be written there.
   */
  public void forward(Tensor x, RmsNorm norm, Tensor out, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor scratch = workspace.allocate(x.rows(), x.columns());
      if (weight.rows() == out.columns()) {
        rank.ops().normLinear(x, norm, weight, scratch, out);
        return;
      }
      Tensor local = workspace.allocate(out.dtype(), x.rows(), partColumns);
      rank.ops().normLinear(x, norm, weight, scratch, local.columns(0, weight.rows()));
      gather(local, out, workspace);
    }
  }

  private void gather(Tensor local, Tensor out, Workspace workspace) {
    int columns = partColumns * rank.collective().size();
    long reach = (out.rows() - 1) * out.rowStride() + columns;
    if (columns <= out.rowStride() && reach * out.dtype().bytes() <= out.memory().byteSize()) {
      rank.collective()
          .allGatherColumns(
              local, new Tensor(out.dtype(), out.rows(), columns, out.rowStride(), out.memory()));
      return;
    }
    Tensor wide = workspace.allocate(out.dtype(), out.rows(), columns);
    rank.collective().allGatherColumns(local, wide);
    rank.ops().copy(wide.columns(0, out.columns()), out);
  }
}
