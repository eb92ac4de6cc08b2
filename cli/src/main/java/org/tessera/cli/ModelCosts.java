package org.tessera.cli;

import org.tessera.config.ModelConfig;
import org.tessera.config.VisionConfig;
import org.tessera.tensor.DType;

/** Operations and bytes that a model takes, by its sizes: what a measured time is held against. */
record ModelCosts(ModelConfig config) {
  /** Of a slice, in pixels. */
  static final int SLICE_SIDE = 448;

  /**
   * Operations of a prefill: two for each weight of the layers at each position and for each weight
   * of the head once, and what attention does over the positions before each one.
   */
  double prefillOperations(int positions) {
    double attention =
        4.0
            * config.numAttentionHeads()
            * config.headDim()
            * positions
            * (positions + 1.0)
            / 2
            * config.numHiddenLayers();
    double head = 2.0 * config.hiddenSize() * config.vocabSize();
    return 2.0 * layerElements() * positions + attention + head;
  }

  /**
   * Operations of vision tower and resampler: two for each weight and row, and attention of every
   * patch to every patch of its slice, of every query to every patch.
   */
  double visionOperations(int slices) {
    VisionConfig vision = config.visionConfig();
    double side = SLICE_SIDE / config.patchSize();
    double patches = side * side;
    double width = vision.hiddenSize();
    double embedding = width * 3 * vision.patchSize() * vision.patchSize();
    double layer = 4 * width * width + 2 * width * vision.intermediateSize();
    double tower =
        2 * patches * (embedding + config.visionLayers() * layer)
            + 4 * patches * patches * width * config.visionLayers();
    double hidden = config.hiddenSize();
    double resampler =
        2 * patches * (width * hidden + 2 * hidden * hidden)
            + 2 * config.queryNum() * 2 * hidden * hidden
            + 4 * config.queryNum() * patches * hidden;
    return slices * (tower + resampler);
  }

  /** Bytes of weights that one step of decoding reads: all layers and the head. */
  double decodeBytes(DType dtype) {
    double head = (double) config.hiddenSize() * config.vocabSize();
    return (layerElements() + head) * dtype.bytes();
  }

  private double layerElements() {
    double hidden = config.hiddenSize();
    double queryWidth = (double) config.numAttentionHeads() * config.headDim();
    double keyValueWidth = (double) config.numKeyValueHeads() * config.headDim();
    double attention = hidden * (2 * queryWidth + 2 * keyValueWidth);
    double mlp = 3 * hidden * config.intermediateSize();
    return (attention + mlp) * config.numHiddenLayers();
  }
}
