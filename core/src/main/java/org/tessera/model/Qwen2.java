package org.tessera.model;

import java.util.ArrayList;
import java.util.List;
import org.tessera.config.ModelConfig;
import org.tessera.device.Workspace;
import org.tessera.kv.KvCache;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.Ops;
import org.tessera.ops.PagedBatch;
import org.tessera.parallel.ColumnLinear;
import org.tessera.parallel.GateUpLinear;
import org.tessera.parallel.QkvLinear;
import org.tessera.parallel.Rank;
import org.tessera.parallel.RowLinear;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;
import org.tessera.weights.Weights;

/**
 * The Qwen2 decoder (Qwen2ForCausalLM): pre-norm blocks of grouped-query attention with rotary
 * positions and a SwiGLU MLP, a final RMSNorm and the language-model head.
 */
final class Qwen2 {
  private final Rank rank;
  private final float eps;
  private final Matrix embedTokens;
  private final List<DecoderLayer> layers;
  private final Tensor norm;
  private final ColumnLinear lmHead;

  Qwen2(Weights weights, ModelConfig config, Rank rank) {
    this.rank = rank;
    this.eps = config.rmsNormEps();
    Weights model = weights.at("model");
    int hidden = config.hiddenSize();
    int vocab = config.vocabSize();
    embedTokens = model.at("embed_tokens").matrix("weight", vocab, hidden);
    layers = new ArrayList<>();
    for (int i = 0; i < config.numHiddenLayers(); i++) {
      layers.add(new DecoderLayer(model.at("layers").at(Integer.toString(i)), config, rank));
    }
    norm = model.at("norm").vector("weight", hidden);
    lmHead =
        config.tieWordEmbeddings()
            ? ColumnLinear.of(embedTokens, rank)
            : ColumnLinear.load(weights, "lm_head", vocab, hidden, rank);
  }

  /** The heads of one layer of the whole model. */
  static Heads heads(ModelConfig config) {
    return new Heads(config.numAttentionHeads(), config.numKeyValueHeads(), config.headDim());
  }

  /** The heads that this rank computes. */
  Heads localHeads() {
    return layers.getFirst().qkvProj.heads();
  }

  /** Token embeddings: ids I32 [1, n] to hidden [n, hidden_size]. */
  void embed(Tensor ids, Tensor hidden) {
    rank.ops().embed(ids, embedTokens, hidden);
  }

  /** All layers, in place on hidden [n, hidden_size]; the final norm is part of {@link #logits}. */
  void forward(Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace) {
    for (int i = 0; i < layers.size(); i++) {
      forwardLayer(i, hidden, batch, cache, workspace);
    }
  }

  void forwardLayer(
      int index, Tensor hidden, PagedBatch batch, KvCache cache, Workspace workspace) {
    layers.get(index).forward(hidden, batch, cache.layer(index), workspace);
  }

  /** hidden [n, hidden_size] of the rows wanted to logits F32 [n, vocab_size]. */
  void logits(Tensor hidden, Tensor logits, Workspace workspace) {
    try (var scope = workspace.open()) {
      Tensor normed = workspace.allocate(hidden.rows(), hidden.columns());
      rank.ops().rmsNorm(hidden, norm, eps, normed);
      lmHead.forward(normed, logits, workspace);
    }
  }

  private static final class DecoderLayer {
    private final Ops ops;
    private final float eps;
    private final double ropeTheta;
    private final Tensor inputLayernorm;
    private final QkvLinear qkvProj;
    private final RowLinear oProj;
    private final Tensor postAttentionLayernorm;
    private final GateUpLinear gateUpProj;
    private final RowLinear downProj;

    DecoderLayer(Weights weights, ModelConfig config, Rank rank) {
      int hidden = config.hiddenSize();
      Heads heads = heads(config);
      ops = rank.ops();
      eps = config.rmsNormEps();
      ropeTheta = config.ropeTheta();
      inputLayernorm = weights.at("input_layernorm").vector("weight", hidden);
      qkvProj = QkvLinear.load(weights.at("self_attn"), hidden, heads, rank);
      oProj = RowLinear.load(weights.at("self_attn"), "o_proj", hidden, heads.queryColumns(), rank);
      postAttentionLayernorm = weights.at("post_attention_layernorm").vector("weight", hidden);
      gateUpProj = GateUpLinear.load(weights.at("mlp"), hidden, config.intermediateSize(), rank);
      downProj =
          RowLinear.load(weights.at("mlp"), "down_proj", hidden, config.intermediateSize(), rank);
    }

    void forward(Tensor hidden, PagedBatch batch, KvLayer cache, Workspace workspace) {
      try (var scope = workspace.open()) {
        Tensor normed = workspace.allocate(hidden.rows(), hidden.columns());
        ops.rmsNorm(hidden, inputLayernorm, eps, normed);
        attend(normed, batch, cache, hidden, workspace);
        ops.rmsNorm(hidden, postAttentionLayernorm, eps, normed);
        Tensor gated = workspace.allocate(hidden.rows(), gateUpProj.columns());
        gateUpProj.forward(normed, gated, workspace);
        downProj.addTo(gated, hidden, workspace);
      }
    }

    private void attend(
        Tensor normed, PagedBatch batch, KvLayer cache, Tensor hidden, Workspace workspace) {
      Heads heads = qkvProj.heads();
      float scale = (float) (1 / Math.sqrt(heads.width()));
      try (var scope = workspace.open()) {
        Tensor qkv = workspace.allocate(normed.rows(), qkvProj.columns());
        qkvProj.forward(normed, qkv);
        ops.rope(qkvProj.queriesAndKeys(qkv), batch.positions(), heads.width(), ropeTheta);
        ops.writeKv(qkvProj.keys(qkv), qkvProj.values(qkv), batch.slots(), cache);
        Tensor attended = workspace.allocate(normed.rows(), heads.queryColumns());
        ops.pagedAttention(qkvProj.queries(qkv), cache, batch, heads, scale, attended);
        oProj.addTo(attended, hidden, workspace);
      }
    }
  }
}
