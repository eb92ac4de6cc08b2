package org.tessera.plan;

/**
 * Bytes that a model's steps read and operations that they do, by its sizes; a multiplication and
 * an addition are two operations.
 */
final class ModelWork {
  private static final int GPU_ACTIVATION_BYTES = 2;
  private static final int CPU_ACTIVATION_BYTES = 4;
  private static final int LOGIT_BYTES = 4;

  /** A square slice of 448 pixels a side. */
  private static final int SLICE_SIDE = 448;

  private final ModelSizes sizes;
  private final int weightBytes;

  ModelWork(ModelSizes sizes, PlanRequest request) {
    this.sizes = sizes;
    this.weightBytes = request.dtype().bytes();
  }

  /** Weights of the products of one decoder layer: queries, keys, values, output and the MLP. */
  private double layerWeights() {
    double hidden = sizes.hiddenSize();
    return hidden * (2.0 * sizes.queryWidth() + 2.0 * sizes.keyValueWidth())
        + 3.0 * hidden * sizes.intermediateSize();
  }

  double layerBytes() {
    return layerWeights() * weightBytes;
  }

  /** A row through a layer's products. */
  double layerOperations() {
    return 2 * layerWeights();
  }

  double headBytes() {
    return (double) sizes.vocabSize() * sizes.hiddenSize() * weightBytes;
  }

  double headOperations() {
    return 2.0 * sizes.vocabSize() * sizes.hiddenSize();
  }

  /** Scores and sums of one layer, where each position sees itself and those before it. */
  double causalAttentionOperations(double positions) {
    return 2 * positions * positions * sizes.queryWidth();
  }

  /** Keys and values of one position in one layer. */
  double kvBytesPerRow(DeviceId device) {
    return 2.0 * sizes.keyValueWidth() * activationBytes(device);
  }

  /** One row of hidden states as it crosses between devices. */
  double hiddenBytes() {
    return (double) sizes.hiddenSize() * GPU_ACTIVATION_BYTES;
  }

  double logitsBytes() {
    return (double) sizes.vocabSize() * LOGIT_BYTES;
  }

  /** What the resampler makes of a slice. */
  double featureBytesPerSlice() {
    return sizes.queryNum() * hiddenBytes();
  }

  /**
   * Vision tower and resampler for one slice of n patches: for each layer of the tower its products
   * (four of the width, two of the MLP) and 4 n n width of attention; then the resampler's
   * projections of n keys and values, and what its queries cost beside.
   */
  double visionOperationsPerSlice() {
    ModelSizes.VisionSizes vision = sizes.vision();
    double side = Math.ceil((double) SLICE_SIDE / vision.patchSize());
    double patches = side * side;
    double width = vision.hiddenSize();
    double hidden = sizes.hiddenSize();
    double queries = sizes.queryNum();
    double embedding = 2 * patches * width * vision.numChannels() * Math.pow(vision.patchSize(), 2);
    double layer =
        2 * patches * (4 * width * width + 2 * width * vision.intermediateSize())
            + 4 * patches * patches * width;
    double resampler =
        2 * patches * (width * hidden + 2 * hidden * hidden)
            + 2 * queries * 3 * hidden * hidden
            + 4 * queries * patches * hidden;
    return embedding + sizes.visionLayers() * layer + resampler;
  }

  private static int activationBytes(DeviceId device) {
    return device.isGpu() ? GPU_ACTIVATION_BYTES : CPU_ACTIVATION_BYTES;
  }
}
