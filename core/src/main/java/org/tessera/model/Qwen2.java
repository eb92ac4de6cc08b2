package org.tessera.model;

import java.util.List;
import java.util.Optional;
import org.tessera.config.ModelConfig;
import org.tessera.device.Workspace;
import org.tessera.kv.KvCache;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.Ops;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.RmsNorm;
import org.tessera.parallel.ColumnLinear;
import org.tessera.parallel.GateUpLinear;
import org.tessera.parallel.ModelPart;
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
  private final Heads localHeads;
  private final Optional<Matrix> embedTokens;
  private final List<DecoderLayer> layers;
  private final Optional<RmsNorm> norm;
  private final Optional<ColumnLinear> lmHead;

  Qwen2(Weights weights, ModelConfig config, Rank rank) {
    this.rank = rank;
    ModelPart part = rank.part();
    Weights model = weights.at("model");
    int hidden = config.hiddenSize();
    int vocab = config.vocabSize();
    localHeads = QkvLinear.localHeads(heads(config), rank);
    embedTokens = part.embeddings(() -> model.at("embed_tokens").matrix("weight", vocab, hidden));
    layers =
        part.layers(config.numHiddenLayers())
            .mapToObj(i -> new DecoderLayer(model.at("layers." + i), config, rank))
            .toList();
    norm = part.head(() -> norm(model.at("norm"), config));
    lmHead =
        part.head(() ->
            config.tieWordEmbeddings()
                ? tiedHead(model, config)
                : ColumnLinear.load(weights, "lm_head", vocab, hidden, rank));
  }

  /** The embeddings, or a copy of them where they lie on another device. */
  private ColumnLinear tiedHead(Weights model, ModelConfig config) {
    return embedTokens
        .map(embeddings -> ColumnLinear.of(embeddings, rank))
        .orElseGet(() ->
            ColumnLinear.load(
                model, "embed_tokens", config.vocabSize(), config.hiddenSize(), rank));
  }

  private static RmsNorm norm(Weights weights, ModelConfig config) {
    return new RmsNorm(weights.vector("weight", config.hiddenSize()), config.rmsNormEps());
  }

  /** The heads of one layer of the whole model. */
  static Heads heads(ModelConfig config) {
    return new Heads(config.numAttentionHeads(), config.numKeyValueHeads(), config.headDim());
  }

  /** The heads that this rank computes. */
  Heads localHeads() {
    return localHeads;
  }

  /** The layers that this rank holds. */
  int layerCount() {
    return layers.size();
  }

  /** Token embeddings: ids I32 [1, n] to hidden [n, hidden_size]. */
  void embed(Tensor ids, Tensor hidden) {
    rank.ops().embed(ids, embedTokens.orElseThrow(), hidden);
  }

  /**
   * All layers of this rank, in place on hidden [n, hidden_size]; the final norm is part of {@link
   * #logits}.
   */
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
    lmHead.orElseThrow().forward(hidden, norm.orElseThrow(), logits, workspace);
  }

  private static final class DecoderLayer {
    private final Ops ops;
    private final double ropeTheta;
    private final RmsNorm inputLayernorm;
    private final QkvLinear qkvProj;
    private final RowLinear oProj;
    private final RmsNorm postAttentionLayernorm;
    private final GateUpLinear gateUpProj;
    private final RowLinear downProj;

    DecoderLayer(Weights weights, ModelConfig config, Rank rank) {
      int hidden = config.hiddenSize();
      Heads heads = heads(config);
      ops = rank.ops();
      ropeTheta = config.ropeTheta();
      inputLayernorm = norm(weights.at("input_layernorm"), config);
      qkvProj = QkvLinear.load(weights.at("self_attn"), hidden, heads, rank);
      oProj = RowLinear.load(weights.at("self_attn"), "o_proj", hidden, heads.queryColumns(), rank);
      postAttentionLayernorm = norm(weights.at("post_attention_layernorm"), config);
      gateUpProj = GateUpLinear.load(weights.at("mlp"), hidden, config.intermediateSize(), rank);
      downProj =
          RowLinear.load(weights.at("mlp"), "down_proj", hidden, config.intermediateSize(), rank);
    }

    void forward(Tensor hidden, PagedBatch batch, KvLayer cache, Workspace workspace) {
      attend(hidden, batch, cache, workspace);
      try (var scope = workspace.open()) {
        Tensor gated = workspace.allocate(hidden.rows(), gateUpProj.columns());
        gateUpProj.forward(hidden, postAttentionLayernorm, gated, workspace);
        downProj.addTo(gated, hidden, workspace);
      }
    }

    private void attend(Tensor hidden, PagedBatch batch, KvLayer cache, Workspace workspace) {
      Heads heads = qkvProj.heads();
      float scale = (float) (1 / Math.sqrt(heads.width()));
      try (var scope = workspace.open()) {
        Tensor qkv = workspace.allocate(hidden.rows(), qkvProj.columns());
        qkvProj.forward(hidden, inputLayernorm, ropeTheta, batch, cache, qkv, workspace);
        Tensor attended = workspace.allocate(hidden.rows(), heads.queryColumns());
        ops.pagedAttention(qkvProj.queries(qkv), cache, batch, heads, scale, attended);
        oProj.addTo(attended, hidden, workspace);
      }
    }
  }
}
