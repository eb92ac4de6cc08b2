package org.tessera.parallel;

import java.util.List;
import org.tessera.device.Workspace;
import org.tessera.error.PlanException;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Cut;
import org.tessera.weights.Weights;
import org.tessera.weights.Weights.Part;

/**
 * The gate and up projections of a SwiGLU block as one matrix, divided over the ranks: {@code
 * silu(gate(norm(x))) * up(norm(x))}.
 */
public final class GateUpLinear {
  private final Rank rank;
  private final Matrix weight;

  private GateUpLinear(Rank rank, Matrix weight) {
    this.rank = rank;
    this.weight = weight;
  }

  /**
   * Loads {@code gate_proj} and {@code up_proj}.
   *
   * @throws PlanException where the ranks cannot share the intermediate size evenly
   */
  public static GateUpLinear load(Weights mlp, int inputs, int intermediateSize, Rank rank) {
    int size = rank.collective().size();
    if (intermediateSize % size != 0) {
      throw new PlanException(
          "intermediate_size %d cannot be cut into %d equal parts"
              .formatted(intermediateSize, size));
    }
    Cut cut = Cut.rows(rank.collective().rank(), size);
    return new GateUpLinear(
        rank,
        mlp.stackedMatrix(
            List.of(
                new Part("gate_proj.weight", intermediateSize),
                new Part("up_proj.weight", intermediateSize)),
            inputs,
            cut));
  }

  /** Columns of an output row on this rank. */
  public int columns() {
    return weight.rows() / 2;
  }

  /** x [n, inputs], which is normalised first, to out [n, {@link #columns}]. */
  public void forward(Tensor x, RmsNorm norm, Tensor out, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor scratch = workspace.allocate(x.rows(), x.columns());
      Tensor gateUp = workspace.allocate(x.rows(), weight.rows());
      rank.ops().normSiluMul(x, norm, weight, scratch, gateUp, out);
    }
  }
}
