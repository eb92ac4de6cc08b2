package org.tessera.model;

import java.util.ArrayList;
import java.util.List;
import org.tessera.config.VisionConfig;
import org.tessera.device.Workspace;
import org.tessera.image.PatchGrid;
import org.tessera.image.PositionBuckets;
import org.tessera.ops.Activation;
import org.tessera.ops.Heads;
import org.tessera.ops.Ops;
import org.tessera.ops.Segments;
import org.tessera.parallel.QkvLinear;
import org.tessera.parallel.Rank;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights;

/**
 * The SigLIP vision tower in its NaViT form: pictures of any patch grid, packed one after the other
 * without padding, attend within themselves. Positions are buckets of the relative coordinates.
 */
final class SiglipVision {
  private final Ops ops;
  private final VisionConfig config;
  private final Matrix patchEmbedding;
  private final Tensor patchBias;
  private final Tensor positionEmbedding;
  private final GridInts positionIds;
  private final List<EncoderLayer> layers;
  private final Tensor postLayernormWeight;
  private final Tensor postLayernormBias;

  SiglipVision(Weights weights, VisionConfig config, int layerCount, Rank rank) {
    this.ops = rank.ops();
    this.config = config;
    int width = config.hiddenSize();
    int patch = config.patchSize();
    int positions = config.patchesPerSide() * config.patchesPerSide();
    Weights embeddings = weights.at("embeddings");
    patchEmbedding =
        embeddings
            .at("patch_embedding")
            .matrix("weight", Shape.of(width, config.numChannels(), patch, patch));
    patchBias = embeddings.at("patch_embedding").vector("bias", width);
    positionEmbedding = embeddings.at("position_embedding").table("weight", positions, width);
    positionIds = new GridInts(rank.device(), weights.region());
    layers = new ArrayList<>();
    for (int i = 0; i < layerCount; i++) {
      layers.add(new EncoderLayer(weights.at("encoder.layers." + i), config, rank));
    }
    postLayernormWeight = weights.at("post_layernorm").vector("weight", width);
    postLayernormBias = weights.at("post_layernorm").vector("bias", width);
  }

  /**
   * The tower over packed pictures.
   *
   * @param patches [patches of all grids, channels * patch * patch]
   * @param segments the patches of each grid
   * @param out [patches, hidden_size]
   */
  void forward(
      Tensor patches, List<PatchGrid> grids, Segments segments, Tensor out, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor hidden = workspace.allocate(out.rows(), out.columns());
      embed(patches, grids, hidden);
      for (EncoderLayer layer : layers) {
        layer.forward(hidden, segments, workspace);
      }
      ops.layerNorm(hidden, postLayernormWeight, postLayernormBias, config.layerNormEps(), out);
    }
  }

  /** Patch and position embeddings. */
  void embed(Tensor patches, List<PatchGrid> grids, Tensor out) {
    ops.linear(patches, patchEmbedding, patchBias, Activation.NONE, out);
    ops.addRows(positionIds.of(grids, () -> bucketIds(grids)), positionEmbedding, out);
  }

  private int[] bucketIds(List<PatchGrid> grids) {
    int side = config.patchesPerSide();
    int[] ids = new int[grids.stream().mapToInt(PatchGrid::patchCount).sum()];
    int next = 0;
    for (PatchGrid grid : grids) {
      int[] rowBuckets = PositionBuckets.of(grid.rows(), side);
      int[] columnBuckets = PositionBuckets.of(grid.columns(), side);
      for (int rowBucket : rowBuckets) {
        for (int columnBucket : columnBuckets) {
          ids[next++] = rowBucket * side + columnBucket;
        }
      }
    }
    return ids;
  }

  private static final class EncoderLayer {
    private final Ops ops;
    private final float eps;
    private final Tensor layerNorm1Weight;
    private final Tensor layerNorm1Bias;
    private final QkvLinear qkvProj;
    private final Matrix outProj;
    private final Tensor outProjBias;
    private final Tensor layerNorm2Weight;
    private final Tensor layerNorm2Bias;
    private final Matrix fc1;
    private final Tensor fc1Bias;
    private final Matrix fc2;
    private final Tensor fc2Bias;

    EncoderLayer(Weights weights, VisionConfig config, Rank rank) {
      int width = config.hiddenSize();
      int intermediate = config.intermediateSize();
      int headCount = config.numAttentionHeads();
      ops = rank.ops();
      eps = config.layerNormEps();
      layerNorm1Weight = weights.at("layer_norm1").vector("weight", width);
      layerNorm1Bias = weights.at("layer_norm1").vector("bias", width);
      Weights attention = weights.at("self_attn");
      Heads heads = new Heads(headCount, headCount, width / headCount);
      qkvProj = QkvLinear.load(attention, width, heads, Rank.whole(rank.device()));
      outProj = attention.at("out_proj").matrix("weight", width, width);
      outProjBias = attention.at("out_proj").vector("bias", width);
      layerNorm2Weight = weights.at("layer_norm2").vector("weight", width);
      layerNorm2Bias = weights.at("layer_norm2").vector("bias", width);
      fc1 = weights.at("mlp.fc1").matrix("weight", intermediate, width);
      fc1Bias = weights.at("mlp.fc1").vector("bias", intermediate);
      fc2 = weights.at("mlp.fc2").matrix("weight", width, intermediate);
      fc2Bias = weights.at("mlp.fc2").vector("bias", width);
    }

    void forward(Tensor hidden, Segments segments, Workspace workspace) {
      Heads heads = qkvProj.heads();
      float scale = (float) (1 / Math.sqrt(heads.width()));
      try (var scope = workspace.open()) {
        Tensor normed = workspace.allocate(hidden.rows(), hidden.columns());
        ops.layerNorm(hidden, layerNorm1Weight, layerNorm1Bias, eps, normed);
        Tensor qkv = workspace.allocate(hidden.rows(), qkvProj.columns());
        qkvProj.forward(normed, qkv);
        ops.attention(
            qkvProj.queries(qkv),
            qkvProj.keys(qkv),
            qkvProj.values(qkv),
            segments,
            segments,
            heads,
            scale,
            normed);
        ops.linearAdd(normed, outProj, outProjBias, hidden);
      }
      try (var scope = workspace.open()) {
        Tensor normed = workspace.allocate(hidden.rows(), hidden.columns());
        ops.layerNorm(hidden, layerNorm2Weight, layerNorm2Bias, eps, normed);
        Tensor inner = workspace.allocate(hidden.rows(), fc1.rows());
        ops.linear(normed, fc1, fc1Bias, Activation.GELU_TANH, inner);
        ops.linearAdd(inner, fc2, fc2Bias, hidden);
      }
    }
  }
}
