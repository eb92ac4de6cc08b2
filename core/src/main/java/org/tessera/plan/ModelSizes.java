package org.tessera.plan;

import org.tessera.config.ModelConfig;
import org.tessera.config.VisionConfig;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;

/**
 * The values of config.json that decide how large MiniCPM-V 2.6 is, under Hugging Face's names.
 *
 * @param headDim width of a decoder attention head, in elements
 * @param queryNum rows that the resampler makes of a slice
 * @param dropVisionLastLayer whether the vision tower runs, and has, one layer less than {@code
 *     vision.numHiddenLayers}
 * @param dtype in which the checkpoint stores its weights
 */
public record ModelSizes(
    int vocabSize,
    int hiddenSize,
    int intermediateSize,
    int numHiddenLayers,
    int numAttentionHeads,
    int numKeyValueHeads,
    int headDim,
    boolean tieWordEmbeddings,
    int queryNum,
    boolean dropVisionLastLayer,
    VisionSizes vision,
    DType dtype) {

  /**
   * {@code vision_config}.
   *
   * @param imageSize in pixels: {@code (imageSize / patchSize)^2} rows of position embedding
   */
  public record VisionSizes(
      int hiddenSize,
      int intermediateSize,
      int numHiddenLayers,
      int imageSize,
      int patchSize,
      int numChannels) {
    public VisionSizes {
      check("vision_config.hidden_size", hiddenSize, MAX_WIDTH);
      check("vision_config.intermediate_size", intermediateSize, MAX_WIDTH);
      check("vision_config.num_hidden_layers", numHiddenLayers, MAX_LAYERS);
      check("vision_config.image_size", imageSize, MAX_WIDTH);
      check("vision_config.patch_size", patchSize, imageSize);
      check("vision_config.num_channels", numChannels, MAX_CHANNELS);
    }

    /** Rows of the table of position embeddings. */
    public int positions() {
      int side = imageSize / patchSize;
      return Math.multiplyExact(side, side);
    }
  }

  // Above any model of the family, and low enough that no product of two exceeds an int's range of
  // a shape and that a hostile config.json cannot ask for a tree that fills the heap.
  private static final int MAX_WIDTH = 1 << 15;
  private static final int MAX_VOCABULARY = 1 << 24;
  private static final int MAX_LAYERS = 1 << 9;
  private static final int MAX_CHANNELS = 64;

  public ModelSizes {
    check("vocab_size", vocabSize, MAX_VOCABULARY);
    check("hidden_size", hiddenSize, MAX_WIDTH);
    check("intermediate_size", intermediateSize, 1 << 20);
    check("num_hidden_layers", numHiddenLayers, MAX_LAYERS);
    check("num_attention_heads", numAttentionHeads, MAX_WIDTH);
    check("num_key_value_heads", numKeyValueHeads, numAttentionHeads);
    check("head_dim", headDim, MAX_WIDTH);
    check("query_num", queryNum, MAX_WIDTH);
    if (dropVisionLastLayer && vision.numHiddenLayers() < 2) {
      throw new CheckpointException(
          "config.json: drop_vision_last_layer leaves no vision layer of %d"
              .formatted(vision.numHiddenLayers()));
    }
  }

  /** The sizes that a checkpoint's config.json gives; bf16 where it does not say a type. */
  public static ModelSizes of(ModelConfig config) {
    VisionConfig vision = config.visionConfig();
    return new ModelSizes(
        config.vocabSize(),
        config.hiddenSize(),
        config.intermediateSize(),
        config.numHiddenLayers(),
        config.numAttentionHeads(),
        config.numKeyValueHeads(),
        config.headDim(),
        config.tieWordEmbeddings(),
        config.queryNum(),
        config.dropVisionLastLayer(),
        new VisionSizes(
            vision.hiddenSize(),
            vision.intermediateSize(),
            vision.numHiddenLayers(),
            vision.imageSize(),
            vision.patchSize(),
            vision.numChannels()),
        config.torchDtype().orElse(DType.BF16));
  }

  /** Layers that the vision tower has. */
  public int visionLayers() {
    return vision.numHiddenLayers() - (dropVisionLastLayer ? 1 : 0);
  }

  /** Columns of the query projection. */
  public int queryWidth() {
    return Math.multiplyExact(numAttentionHeads, headDim);
  }

  /** Columns of the key projection, and of the value projection. */
  public int keyValueWidth() {
    return Math.multiplyExact(numKeyValueHeads, headDim);
  }

  private static void check(String key, int value, int max) {
    if (value < 1 || value > max) {
      throw new CheckpointException(
          "config.json: %s is %d, expected 1 to %d".formatted(key, value, max));
    }
  }
}
