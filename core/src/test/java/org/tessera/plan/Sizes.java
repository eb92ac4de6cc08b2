package org.tessera.plan;

import org.tessera.plan.ModelSizes.VisionSizes;
import org.tessera.tensor.DType;

/** Sizes to test with: those of MiniCPM-V 2.6 and those of the small checkpoint, to be varied. */
final class Sizes {
  private int vocab;
  private int hidden;
  private int intermediate;
  private int layers;
  private int heads;
  private int kvHeads;
  private int headDim;
  private boolean tied;
  private boolean dropVisionLastLayer;
  private int visionHidden;
  private int visionIntermediate;
  private int visionLayers;
  private DType dtype = DType.BF16;

  private Sizes() {}

  static Sizes full() {
    Sizes sizes = new Sizes().vocab(151666).decoder(3584, 18944).layers(28).vision(1152, 4304);
    return sizes.heads(28, 4).headDim(128).visionLayers(27);
  }

  static Sizes tiny() {
    Sizes sizes = new Sizes().vocab(664).decoder(512, 640).layers(2).vision(144, 296);
    return sizes.heads(4, 2).headDim(128).visionLayers(2);
  }

  Sizes vocab(int value) {
    vocab = value;
    return this;
  }

  Sizes decoder(int hiddenSize, int intermediateSize) {
    hidden = hiddenSize;
    intermediate = intermediateSize;
    return this;
  }

  Sizes layers(int value) {
    layers = value;
    return this;
  }

  Sizes heads(int attention, int keyValue) {
    heads = attention;
    kvHeads = keyValue;
    return this;
  }

  Sizes headDim(int value) {
    headDim = value;
    return this;
  }

  Sizes tied(boolean value) {
    tied = value;
    return this;
  }

  Sizes dropVisionLastLayer(boolean value) {
    dropVisionLastLayer = value;
    return this;
  }

  Sizes vision(int hiddenSize, int intermediateSize) {
    visionHidden = hiddenSize;
    visionIntermediate = intermediateSize;
    return this;
  }

  Sizes visionLayers(int value) {
    visionLayers = value;
    return this;
  }

  Sizes dtype(DType value) {
    dtype = value;
    return this;
  }

  ModelSizes build() {
    VisionSizes vision =
        new VisionSizes(visionHidden, visionIntermediate, visionLayers, 980, 14, 3);
    return new ModelSizes(
        vocab,
        hidden,
        intermediate,
        layers,
        heads,
        kvHeads,
        headDim,
        tied,
        64,
        dropVisionLastLayer,
        vision,
        dtype);
  }
}
