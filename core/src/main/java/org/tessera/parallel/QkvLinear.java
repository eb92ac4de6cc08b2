package org.tessera.parallel;

import java.util.List;
import org.tessera.device.Workspace;
import org.tessera.error.PlanException;
import org.tessera.ops.Activation;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.RmsNorm;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Cut;
import org.tessera.weights.Weights;
import org.tessera.weights.Weights.Part;

/**
 * The query, key and value projections of attention as one matrix, divided over the ranks by heads.
 * Its output row is this rank's queries, keys and values side by side.
 */
public final class QkvLinear {
  private final Rank rank;
  private final Heads heads;
  private final Matrix weight;
  private final Tensor bias;

  private QkvLinear(Rank rank, Heads heads, Matrix weight, Tensor bias) {
    this.rank = rank;
    this.heads = heads;
    this.weight = weight;
    this.bias = bias;
  }

  /**
   * Loads {@code q_proj}, {@code k_proj} and {@code v_proj} with their biases.
   *
   * @param all the heads of the whole layer
   * @throws PlanException where the ranks cannot share the heads evenly
   */
  public static QkvLinear load(Weights attention, int inputs, Heads all, Rank rank) {
    Heads heads = localHeads(all, rank);
    Cut cut = Cut.rows(rank.collective().rank(), rank.collective().size());
    return new QkvLinear(
        rank,
        heads,
        attention.stackedMatrix(parts("weight", all), inputs, cut),
        attention.stackedVector(parts("bias", all), cut));
  }

  /**
   * The heads that a rank computes.
   *
   * @param all the heads of the whole layer
   * @throws PlanException where the ranks cannot share the heads evenly
   */
  public static Heads localHeads(Heads all, Rank rank) {
    int size = rank.collective().size();
    if (all.queryHeads() % size != 0 || all.keyValueHeads() % size != 0) {
      throw new PlanException(
          "%d query heads and %d key/value heads cannot be cut into %d equal parts"
              .formatted(all.queryHeads(), all.keyValueHeads(), size));
    }
    return new Heads(all.queryHeads() / size, all.keyValueHeads() / size, all.width());
  }

  private static List<Part> parts(String parameter, Heads heads) {
    return List.of(
        new Part("q_proj." + parameter, heads.queryColumns()),
        new Part("k_proj." + parameter, heads.keyValueColumns()),
        new Part("v_proj." + parameter, heads.keyValueColumns()));
  }

  /** The heads of this rank. */
  public Heads heads() {
    return heads;
  }

  /** Columns of an output row. */
  public int columns() {
    return heads.queryColumns() + 2 * heads.keyValueColumns();
  }

  /** x [n, inputs] to out [n, {@link #columns}]. */
  public void forward(Tensor x, Tensor out) {
    rank.ops().linear(x, weight, bias, Activation.NONE, out);
  }

  /**
   * The decoder's way: normalises x [n, inputs], rotates queries and keys by their positions and
   * writes keys and values to the cache. Of out [n, {@link #columns}] the queries are valid.
   */
  public void forward(
      Tensor x,
      RmsNorm norm,
      double ropeTheta,
      PagedBatch batch,
      KvLayer cache,
      Tensor out,
      Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor scratch = workspace.allocate(x.rows(), x.columns());
      rank.ops().normQkv(x, norm, weight, bias, heads, ropeTheta, batch, cache, scratch, out);
    }
  }

  public Tensor queries(Tensor out) {
    return out.columns(0, heads.queryColumns());
  }

  public Tensor keys(Tensor out) {
    return out.columns(heads.queryColumns(), heads.queryColumns() + heads.keyValueColumns());
  }

  public Tensor values(Tensor out) {
    return out.columns(heads.queryColumns() + heads.keyValueColumns(), columns());
  }
}
