package org.tessera.config;

/**
 * {@code vision_config} of config.json: the SigLIP vision transformer.
 *
 * @param imageSize side in pixels of the square that the position table covers
 * @param patchSize side of a patch in pixels
 */
public record VisionConfig(
    int hiddenSize,
    int intermediateSize,
    int numHiddenLayers,
    int numAttentionHeads,
    int imageSize,
    int patchSize,
    int numChannels,
    float layerNormEps,
    String hiddenAct) {

  private static final String HIDDEN_ACT = "gelu_pytorch_tanh";

  static VisionConfig of(JsonObject json) {
    VisionConfig config =
        new VisionConfig(
            json.integer("hidden_size", 1, Limits.WIDTH),
            json.integer("intermediate_size", 1, Limits.WIDTH),
            json.integer("num_hidden_layers", 1, Limits.LAYERS),
            json.integer("num_attention_heads", 1, Limits.HEADS),
            json.integer("image_size", 1, Limits.PIXELS),
            json.integer("patch_size", 1, Limits.PATCH_PIXELS),
            // The three that SigLIP's own configuration class fills in and savers leave out.
            json.integer("num_channels", 1, Limits.CHANNELS, 3),
            json.optionalNumber("layer_norm_eps", Limits.MIN_EPS, Limits.MAX_EPS)
                .orElse(1e-6)
                .floatValue(),
            json.optionalString("hidden_act").orElse(HIDDEN_ACT));
    if (config.hiddenSize % config.numAttentionHeads != 0) {
      throw json.wrong(
          "hidden_size",
          config.hiddenSize,
          "a multiple of num_attention_heads, which is " + config.numAttentionHeads);
    }
    if (config.imageSize < config.patchSize) {
      throw json.wrong(
          "image_size",
          config.imageSize,
          "at least one patch, and patch_size is " + config.patchSize);
    }
    if (!config.hiddenAct.equals(HIDDEN_ACT)) {
      throw json.wrong("hidden_act", config.hiddenAct, HIDDEN_ACT);
    }
    return config;
  }

  /** Patches on a side of the position table: 70 for 980 pixels. */
  public int patchesPerSide() {
    return imageSize / patchSize;
  }

  /** Width of an attention head. */
  public int headDim() {
    return hiddenSize / numAttentionHeads;
  }
}
