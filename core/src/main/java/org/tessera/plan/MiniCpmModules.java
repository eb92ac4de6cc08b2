package org.tessera.plan;

import java.util.ArrayList;
import java.util.List;
import org.tessera.plan.ModuleTree.ModuleNode;
import org.tessera.plan.ModuleTree.TensorSpec;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;

/**
 * The modules of MiniCPM-V 2.6 from the sizes in its config.json alone: the decoder, the vision
 * tower and the resampler, in the order in which the original registers them.
 */
public final class MiniCpmModules {
  static final String EMBED_TOKENS = "llm.model.embed_tokens";
  static final String LAYERS = "llm.model.layers";
  static final String FINAL_NORM = "llm.model.norm";
  static final String ROTARY = "llm.model.rotary_emb";
  static final String LM_HEAD = "llm.lm_head";
  static final String VISION = "vpm";
  static final String RESAMPLER = "resampler";
  static final String DECODER_LAYER_CLASS = "Qwen2DecoderLayer";
  static final String VISION_CLASS = "SiglipVisionTransformer";
  static final String RESAMPLER_CLASS = "Resampler";

  /** Rows and columns of the resampler's position table as the original prepares it. */
  private static final int POSITION_GRID = 70;

  private final ModelSizes sizes;
  private final List<ModuleNode> modules = new ArrayList<>();

  private MiniCpmModules(ModelSizes sizes) {
    this.sizes = sizes;
  }

  /** The module tree of a model of these sizes. */
  public static ModuleTree of(ModelSizes sizes) {
    MiniCpmModules builder = new MiniCpmModules(sizes);
    builder.container("", "Model");
    builder.decoder();
    builder.vision();
    builder.resampler();
    List<List<String>> tied =
        sizes.tieWordEmbeddings()
            ? List.of(List.of(EMBED_TOKENS + ".weight", LM_HEAD + ".weight"))
            : List.of();
    return new ModuleTree(builder.modules, tied);
  }

  private void decoder() {
    int hidden = sizes.hiddenSize();
    container("llm", "Qwen2ForCausalLM");
    container("llm.model", "Qwen2Model");
    weight(EMBED_TOKENS, "Embedding", sizes.vocabSize(), hidden);
    container(LAYERS, "ModuleList");
    for (int layer = 0; layer < sizes.numHiddenLayers(); layer++) {
      decoderLayer(LAYERS + "." + layer);
    }
    weight(FINAL_NORM, "Qwen2RMSNorm", hidden);
    Shape frequencies = Shape.of(sizes.headDim() / 2);
    add(
        ROTARY,
        "Qwen2RotaryEmbedding",
        List.of(),
        List.of(
            new TensorSpec("inv_freq", frequencies, DType.F32),
            new TensorSpec("original_inv_freq", frequencies, DType.F32)));
    weight(LM_HEAD, "Linear", sizes.vocabSize(), hidden);
  }

  private void decoderLayer(String name) {
    int hidden = sizes.hiddenSize();
    int intermediate = sizes.intermediateSize();
    String attention = name + ".self_attn";
    String mlp = name + ".mlp";
    container(name, DECODER_LAYER_CLASS);
    container(attention, "Qwen2Attention");
    weightAndBias(attention + ".q_proj", "Linear", sizes.queryWidth(), hidden);
    weightAndBias(attention + ".k_proj", "Linear", sizes.keyValueWidth(), hidden);
    weightAndBias(attention + ".v_proj", "Linear", sizes.keyValueWidth(), hidden);
    weight(attention + ".o_proj", "Linear", hidden, sizes.queryWidth());
    container(mlp, "Qwen2MLP");
    weight(mlp + ".gate_proj", "Linear", intermediate, hidden);
    weight(mlp + ".up_proj", "Linear", intermediate, hidden);
    weight(mlp + ".down_proj", "Linear", hidden, intermediate);
    container(mlp + ".act_fn", "SiLUActivation");
    weight(name + ".input_layernorm", "Qwen2RMSNorm", hidden);
    weight(name + ".post_attention_layernorm", "Qwen2RMSNorm", hidden);
  }

  private void vision() {
    ModelSizes.VisionSizes vision = sizes.vision();
    int hidden = vision.hiddenSize();
    int patch = vision.patchSize();
    container(VISION, VISION_CLASS);
    container("vpm.embeddings", "SiglipVisionEmbeddings");
    weightAndBias(
        "vpm.embeddings.patch_embedding", "Conv2d", hidden, vision.numChannels(), patch, patch);
    weight("vpm.embeddings.position_embedding", "Embedding", vision.positions(), hidden);
    container("vpm.encoder", "SiglipEncoder");
    container("vpm.encoder.layers", "ModuleList");
    for (int layer = 0; layer < sizes.visionLayers(); layer++) {
      visionLayer("vpm.encoder.layers." + layer);
    }
    weightAndBias("vpm.post_layernorm", "LayerNorm", hidden);
  }

  private void visionLayer(String name) {
    int hidden = sizes.vision().hiddenSize();
    int intermediate = sizes.vision().intermediateSize();
    container(name, "SiglipEncoderLayer");
    container(name + ".self_attn", "SiglipAttention");
    for (String projection : List.of("k_proj", "v_proj", "q_proj", "out_proj")) {
      weightAndBias(name + ".self_attn." + projection, "Linear", hidden, hidden);
    }
    weightAndBias(name + ".layer_norm1", "LayerNorm", hidden);
    container(name + ".mlp", "SiglipMLP");
    container(name + ".mlp.activation_fn", "GELUTanh");
    weightAndBias(name + ".mlp.fc1", "Linear", intermediate, hidden);
    weightAndBias(name + ".mlp.fc2", "Linear", hidden, intermediate);
    weightAndBias(name + ".layer_norm2", "LayerNorm", hidden);
  }

  private void resampler() {
    int hidden = sizes.hiddenSize();
    add(
        RESAMPLER,
        RESAMPLER_CLASS,
        List.of(parameter("query", sizes.queryNum(), hidden), parameter("proj", hidden, hidden)),
        List.of(
            new TensorSpec(
                "pos_embed", Shape.of(POSITION_GRID, POSITION_GRID, hidden), DType.F32)));
    weight("resampler.kv_proj", "Linear", hidden, sizes.vision().hiddenSize());
    add(
        "resampler.attn",
        "MultiheadAttention",
        List.of(
            parameter("in_proj_weight", 3 * hidden, hidden), parameter("in_proj_bias", 3 * hidden)),
        List.of());
    weightAndBias("resampler.attn.out_proj", "Linear", hidden, hidden);
    for (String norm : List.of("ln_q", "ln_kv", "ln_post")) {
      weightAndBias("resampler." + norm, "LayerNorm", hidden);
    }
  }

  private void container(String name, String className) {
    add(name, className, List.of(), List.of());
  }

  private void weight(String name, String className, int... shape) {
    add(name, className, List.of(parameter("weight", shape)), List.of());
  }

  private void weightAndBias(String name, String className, int... shape) {
    add(
        name,
        className,
        List.of(parameter("weight", shape), parameter("bias", shape[0])),
        List.of());
  }

  private void add(
      String name, String className, List<TensorSpec> parameters, List<TensorSpec> buffers) {
    modules.add(new ModuleNode(name, className, parameters, buffers));
  }

  private TensorSpec parameter(String name, int... shape) {
    return new TensorSpec(name, Shape.of(shape), sizes.dtype());
  }
}
