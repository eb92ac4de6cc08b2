package org.tessera.model;

import org.tessera.config.CheckpointConfig;
import org.tessera.config.ModelConfig;
import org.tessera.error.CheckpointException;
import org.tessera.parallel.Rank;
import org.tessera.weights.Weights;

/** Loads {@code openbmb/MiniCPM-V-2_6} and models of the same form. */
public final class MiniCpmV26 implements Architecture {
  private static final String VERSION = "2.6";
  private static final String MODEL_TYPE = "minicpmv";

  @Override
  public String name() {
    return "MiniCPMV";
  }

  @Override
  public void check(CheckpointConfig config) {
    ModelConfig model = config.model();
    if (!model.modelType().equals(MODEL_TYPE)) {
      throw new CheckpointException(
          "config.json: model_type is %s, expected %s".formatted(model.modelType(), MODEL_TYPE));
    }
    String version = model.version().orElse("missing");
    if (!version.equals(VERSION)) {
      throw new CheckpointException(
          "config.json: version is %s, expected %s".formatted(version, VERSION));
    }
    if (!Resampler.isPossibleWidth(model.hiddenSize())) {
      throw new CheckpointException(
          ("config.json: hidden_size is %d, which the resampler's heads (one for each 128) and"
                  + " positions (four parts) do not divide evenly")
              .formatted(model.hiddenSize()));
    }
  }

  /** A dropped vision layer and a tied head may be stored all the same. */
  private static boolean mayBeUnused(String name, ModelConfig config) {
    return (config.dropVisionLastLayer()
            && name.startsWith("vpm.encoder.layers.%d.".formatted(config.visionLayers())))
        || (config.tieWordEmbeddings() && name.equals("llm.lm_head.weight"));
  }

  @Override
  public VisionLanguageModel load(CheckpointConfig config, Weights weights, Rank rank) {
    VisionLanguageModel model = new MiniCpmV(weights, config, rank);
    weights.refuseUnused(name -> mayBeUnused(name, config.model()));
    return model;
  }
}
