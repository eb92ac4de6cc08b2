package org.tessera.model;

import java.util.List;
import org.tessera.config.CheckpointConfig;
import org.tessera.config.ModelConfig;
import org.tessera.error.CheckpointException;
import org.tessera.parallel.ModelPart;
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

  @Override
  public VisionLanguageModel load(CheckpointConfig config, Weights weights, Rank rank) {
    return new MiniCpmV(weights, config, rank);
  }

  /**
   * {@inheritDoc} A dropped vision layer and a tied head may be stored all the same, and a model
   * that answers to text alone has no use for what encodes pictures.
   */
  @Override
  public boolean mayBeUnused(String name, CheckpointConfig config, List<ModelPart> parts) {
    ModelConfig model = config.model();
    boolean vision = parts.stream().anyMatch(ModelPart::hasVision);
    return (model.dropVisionLastLayer()
            && name.startsWith("vpm.encoder.layers.%d.".formatted(model.visionLayers())))
        || (model.tieWordEmbeddings() && name.equals("llm.lm_head.weight"))
        || (!vision && (name.startsWith("vpm.") || name.startsWith("resampler.")));
  }
}
