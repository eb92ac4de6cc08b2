package org.tessera.model;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.config.ModelConfig;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Workspace;
import org.tessera.image.PatchGrid;
import org.tessera.ops.Activation;
import org.tessera.ops.Heads;
import org.tessera.ops.Ops;
import org.tessera.ops.Segments;
import org.tessera.parallel.Rank;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights;

/**
 * The resampler: learned queries attend to the patches of a picture, whose keys carry a
 * two-dimensional sine-cosine position, and give the same number of vectors for every picture.
 */
final class Resampler {
  private static final float EPS = 1e-6f;

  /** The original has as many heads as this goes into the embedding width. */
  private static final int NOMINAL_HEAD_WIDTH = 128;

  private static final double POSITION_BASE = 10_000;

  private final Rank rank;
  private final Ops ops;
  private final int width;
  private final int queryCount;
  private final Heads heads;
  private final Matrix kvProj;
  private final Tensor lnKvWeight;
  private final Tensor lnKvBias;
  private final Matrix keyProj;
  private final Tensor keyBias;
  private final Matrix valueProj;
  private final Tensor valueBias;
  private final Matrix outProj;
  private final Tensor outProjBias;
  private final Tensor lnPostWeight;
  private final Tensor lnPostBias;
  private final Matrix proj;

  private final DeviceMemory region;

  /** Of each patch its column, then of each its row; then the ids and the starts of the queries. */
  private final GridInts ids;

  /** The sine-cosine table of as many positions as pictures have needed so far, or of more. */
  private @Nullable Tensor positionTable;

  /** The learned queries, normalised and projected: [queryCount, width]. */
  private final Tensor queries;

  Resampler(Weights weights, ModelConfig config, Rank rank) {
    this.rank = rank;
    this.ops = rank.ops();
    this.width = config.hiddenSize();
    this.region = weights.region();
    this.ids = new GridInts(rank.device(), region);
    this.queryCount = config.queryNum();
    int headCount = width / NOMINAL_HEAD_WIDTH;
    this.heads = new Heads(headCount, headCount, width / headCount);
    kvProj = weights.at("kv_proj").matrix("weight", width, config.visionConfig().hiddenSize());
    lnKvWeight = weights.at("ln_kv").vector("weight", width);
    lnKvBias = weights.at("ln_kv").vector("bias", width);
    Weights attention = weights.at("attn");
    int packed = 3 * width;
    Matrix queryProj = attention.matrixRows("in_proj_weight", packed, width, 0, width);
    Tensor queryBias = attention.vectorRange("in_proj_bias", packed, 0, width);
    keyProj = attention.matrixRows("in_proj_weight", packed, width, width, 2 * width);
    keyBias = attention.vectorRange("in_proj_bias", packed, width, 2 * width);
    valueProj = attention.matrixRows("in_proj_weight", packed, width, 2 * width, packed);
    valueBias = attention.vectorRange("in_proj_bias", packed, 2 * width, packed);
    outProj = attention.at("out_proj").matrix("weight", width, width);
    outProjBias = attention.at("out_proj").vector("bias", width);
    lnPostWeight = weights.at("ln_post").vector("weight", width);
    lnPostBias = weights.at("ln_post").vector("bias", width);
    proj = weights.transposed("proj", width, width);

    // The queries depend on nothing: they are projected once for all pictures.
    queries = weights.region().allocate(rank.device().activationType(), queryCount, width);
    try (Workspace workspace = new Workspace(rank.device())) {
      Tensor query = weights.table("query", queryCount, width);
      Tensor normed = workspace.allocate(queryCount, width);
      ops.layerNorm(
          query,
          weights.at("ln_q").vector("weight", width),
          weights.at("ln_q").vector("bias", width),
          EPS,
          normed);
      ops.linear(normed, queryProj, queryBias, Activation.NONE, queries);
    }
  }

  /** Whether the heads and the sine-cosine table divide an embedding width evenly. */
  static boolean isPossibleWidth(int width) {
    return width >= NOMINAL_HEAD_WIDTH
        && width % (width / NOMINAL_HEAD_WIDTH) == 0
        && width % 4 == 0;
  }

  /**
   * @param patches [patches of all grids, vision hidden_size], the tower's output
   * @param segments the patches of each grid
   * @param out [grids * query_num, hidden_size]
   */
  void forward(
      Tensor patches, List<PatchGrid> grids, Segments segments, Tensor out, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor projected = workspace.allocate(patches.rows(), width);
      ops.linear(patches, kvProj, null, Activation.NONE, projected);
      Tensor x = workspace.allocate(patches.rows(), width);
      ops.layerNorm(projected, lnKvWeight, lnKvBias, EPS, x);

      Tensor values = workspace.allocate(patches.rows(), width);
      ops.linear(x, valueProj, valueBias, Activation.NONE, values);
      Tensor ints = ids.of(grids, () -> ids(grids));
      addPositions(x, grids, ints);
      Tensor keys = projected;
      ops.linear(x, keyProj, keyBias, Activation.NONE, keys);

      Tensor attended = workspace.allocate(out.rows(), width);
      ops.attention(
          repeatedQueries(ints, x.rows(), out.rows(), workspace),
          keys,
          values,
          querySegments(ints, x.rows(), grids.size()),
          segments,
          heads,
          (float) (1 / Math.sqrt(heads.width())),
          attended);
      Tensor y = workspace.allocate(out.rows(), width);
      ops.linear(attended, outProj, outProjBias, Activation.NONE, y);
      ops.layerNorm(y, lnPostWeight, lnPostBias, EPS, attended);
      ops.linear(attended, proj, null, Activation.NONE, out);
    }
  }

  private int[] ids(List<PatchGrid> grids) {
    int patchCount = grids.stream().mapToInt(PatchGrid::patchCount).sum();
    int queryRows = grids.size() * queryCount;
    int[] ints = new int[2 * patchCount + queryRows + grids.size() + 1];
    int next = 0;
    for (PatchGrid grid : grids) {
      for (int i = 0; i < grid.rows(); i++) {
        for (int j = 0; j < grid.columns(); j++) {
          ints[next] = j;
          ints[patchCount + next++] = i;
        }
      }
    }
    int queries = 2 * patchCount;
    for (int i = 0; i < queryRows; i++) {
      ints[queries + i] = i % queryCount;
    }
    for (int i = 0; i <= grids.size(); i++) {
      ints[queries + queryRows + i] = i * queryCount;
    }
    return ints;
  }

  private Tensor repeatedQueries(Tensor ints, int patchCount, int rows, Workspace workspace) {
    Tensor repeated = workspace.allocate(rows, width);
    ops.gatherRows(queries, ints.columns(2 * patchCount, 2 * patchCount + rows), repeated);
    return repeated;
  }

  private Segments querySegments(Tensor ints, int patchCount, int count) {
    int starts = 2 * patchCount + count * queryCount;
    return new Segments(ints.columns(starts, starts + count + 1), count, queryCount);
  }

  /**
   * Adds the position of each patch: its column in the left half of the row, its row in the right.
   */
  private void addPositions(Tensor x, List<PatchGrid> grids, Tensor ints) {
    int patchCount = x.rows();
    int longestSide =
        grids.stream().mapToInt(grid -> Math.max(grid.rows(), grid.columns())).max().orElse(0);
    Tensor table = positionTable(longestSide);
    ops.addRows(ints.columns(0, patchCount), table, x.columns(0, width / 2));
    ops.addRows(ints.columns(patchCount, 2 * patchCount), table, x.columns(width / 2, width));
  }

  private Tensor positionTable(int positions) {
    Tensor table = positionTable;
    if (table == null || table.rows() < positions) {
      // What is outgrown stays allocated: twice the size each time keeps that below this.
      int rows = table == null ? positions : Math.max(positions, 2 * table.rows());
      table = region.allocate(rank.device().activationType(), rows, width / 2);
      rank.device().upload(sineCosineTable(rows, width / 2), table);
      positionTable = table;
    }
    return table;
  }

  /**
   * Row {@code p}: {@code sin(p w_k)} for all k, then {@code cos(p w_k)}, with {@code w_k =
   * 10000^(-k / (columns / 2))}; every step in float32, as the original's numpy code does it.
   */
  static float[] sineCosineTable(int positions, int columns) {
    int frequencies = columns / 2;
    float[] table = new float[positions * columns];
    for (int k = 0; k < frequencies; k++) {
      float exponent = (float) k / frequencies;
      float frequency = 1f / (float) Math.pow(POSITION_BASE, exponent);
      for (int position = 0; position < positions; position++) {
        float angle = position * frequency;
        table[position * columns + k] = (float) Math.sin(angle);
        table[position * columns + frequencies + k] = (float) Math.cos(angle);
      }
    }
    return table;
  }
}
