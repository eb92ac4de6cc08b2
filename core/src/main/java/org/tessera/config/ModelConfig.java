package org.tessera.config;

import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;

/**
 * config.json. Widths are in elements, {@code imageSize} and {@code patchSize} in pixels.
 *
 * @param version as text, whether the file has a string or a number; empty where it has neither
 * @param headDim width of an attention head; {@code hidden_size / num_attention_heads} where the
 *     file does not say
 * @param torchDtype what the weights are said to be stored in; the tensors themselves decide
 * @param queryNum rows that the resampler makes of a picture or slice
 * @param imageSize of no use for inference
 * @param dropVisionLastLayer whether the original deletes the last of {@code
 *     vision_config.num_hidden_layers} layers
 */
public record ModelConfig(
    String modelType,
    List<String> architectures,
    Optional<String> version,
    int hiddenSize,
    int numHiddenLayers,
    int numAttentionHeads,
    int numKeyValueHeads,
    int headDim,
    int intermediateSize,
    int vocabSize,
    String hiddenAct,
    float rmsNormEps,
    double ropeTheta,
    int maxPositionEmbeddings,
    boolean tieWordEmbeddings,
    Optional<DType> torchDtype,
    int queryNum,
    int imageSize,
    int patchSize,
    boolean dropVisionLastLayer,
    boolean sliceMode,
    boolean useImageId,
    SliceConfig sliceConfig,
    VisionConfig visionConfig) {

  static final String FILE = "config.json";
  private static final String HIDDEN_ACT = "silu";

  public ModelConfig {
    architectures = List.copyOf(architectures);
  }

  /**
   * Reads config.json alone, which is enough to know a model's sizes.
   *
   * @param knownArchitectures the values of {@code architectures} that the caller can build
   * @throws CheckpointException where the file is missing, cannot be read, misses a key or holds an
   *     impossible value
   */
  public static ModelConfig read(Path directory, Collection<String> knownArchitectures) {
    byte[] content =
        CheckpointDirectory.open(directory).read(FILE, CheckpointConfig.MAX_FILE_BYTES);
    return of(JsonObject.parse(FILE, content), knownArchitectures);
  }

  /**
   * @param knownArchitectures the values of {@code architectures} that the caller can build;
   *     another one is named before any of its keys is missed
   */
  static ModelConfig of(JsonObject json, Collection<String> knownArchitectures) {
    List<String> architectures = architectures(json, knownArchitectures);
    refuseUnsupported(json);
    VisionConfig vision = VisionConfig.of(json.object("vision_config"));
    int patchSize = json.integer("patch_size", 1, Limits.PATCH_PIXELS, vision.patchSize());
    int hiddenSize = json.integer("hidden_size", 1, Limits.WIDTH);
    int heads = json.integer("num_attention_heads", 1, Limits.HEADS);
    ModelConfig config =
        new ModelConfig(
            json.string("model_type"),
            architectures,
            json.optionalStringOrNumber("version"),
            hiddenSize,
            json.integer("num_hidden_layers", 1, Limits.LAYERS),
            heads,
            json.integer("num_key_value_heads", 1, Limits.HEADS),
            headDim(json, hiddenSize, heads),
            json.integer("intermediate_size", 1, Limits.WIDTH),
            json.integer("vocab_size", 1, Limits.VOCABULARY),
            json.optionalString("hidden_act").orElse(HIDDEN_ACT),
            (float) json.number("rms_norm_eps", Limits.MIN_EPS, Limits.MAX_EPS),
            ropeTheta(json),
            json.integer("max_position_embeddings", 1, Limits.POSITIONS),
            json.bool("tie_word_embeddings", false),
            torchDtype(json),
            json.integer("query_num", 1, Limits.QUERIES),
            json.integer("image_size", 1, Limits.PIXELS, 448),
            patchSize,
            json.bool("drop_vision_last_layer"),
            json.bool("slice_mode", true),
            json.bool("use_image_id", true),
            json.optionalObject("slice_config")
                .map(slice -> SliceConfig.of(slice, patchSize))
                .orElse(SliceConfig.absent(patchSize)),
            vision);
    config.check(json);
    return config;
  }

  /**
   * Layers of the vision transformer that run. Where the last one is dropped, a checkpoint may hold
   * its tensors or not: the original removes the layer before it saves and before it loads.
   */
  public int visionLayers() {
    return visionConfig.numHiddenLayers() - (dropVisionLastLayer ? 1 : 0);
  }

  /**
   * For a registry entry that knows one release of an architecture.
   *
   * @throws CheckpointException where {@code version} is another one or missing
   */
  public void requireVersion(String expected) {
    if (!version.equals(Optional.of(expected))) {
      throw new CheckpointException(
          "%s: version is %s, expected %s"
              .formatted(FILE, version.map(StrictJson::printable).orElse("missing"), expected));
    }
  }

  private static List<String> architectures(JsonObject json, Collection<String> known) {
    List<String> architectures = json.strings("architectures");
    if (architectures.stream().noneMatch(known::contains)) {
      throw new CheckpointException(
          "%s is %s (model_type %s); this build knows %s"
              .formatted(
                  json.name("architectures"),
                  StrictJson.printable(architectures.toString()),
                  StrictJson.printable(json.optionalString("model_type").orElse("missing")),
                  new TreeSet<>(known)));
    }
    return architectures;
  }

  private static void refuseUnsupported(JsonObject json) {
    if (json.has("quantization_config")) {
      throw new CheckpointException(
          "%s is present, but this build reads unquantized checkpoints only"
              .formatted(json.name("quantization_config")));
    }
    if (json.bool("use_sliding_window", false)) {
      throw new CheckpointException(
          "%s is true, but this build has full attention only"
              .formatted(json.name("use_sliding_window")));
    }
    for (String key : List.of("rope_scaling", "rope_parameters")) {
      json.optionalObject(key).ifPresent(scaling -> refuseScaling(json, key, scaling));
    }
  }

  private static void refuseScaling(JsonObject json, String key, JsonObject scaling) {
    String type =
        scaling
            .optionalString("rope_type")
            .or(() -> scaling.optionalString("type"))
            .orElse("missing");
    if (!type.equals("default")) {
      throw new CheckpointException(
          "%s has the type %s, but this build runs unscaled rotary embeddings only"
              .formatted(json.name(key), StrictJson.printable(type)));
    }
  }

  private static int headDim(JsonObject json, int hiddenSize, int heads) {
    if (!json.has("head_dim") && hiddenSize % heads != 0) {
      throw json.wrong(
          "hidden_size", hiddenSize, "a multiple of num_attention_heads, which is " + heads);
    }
    return json.integer("head_dim", 1, Limits.WIDTH, hiddenSize / heads);
  }

  /** Newer savers of the same model nest it. */
  private static double ropeTheta(JsonObject json) {
    JsonObject holder =
        json.has("rope_theta") ? json : json.optionalObject("rope_parameters").orElse(json);
    return holder.number("rope_theta", 1, 1e12);
  }

  /** {@code torch_dtype}, which newer savers call {@code dtype}. */
  private static Optional<DType> torchDtype(JsonObject json) {
    String key = json.has("torch_dtype") ? "torch_dtype" : "dtype";
    return json.optionalString(key)
        .map(name ->
            switch (name.toLowerCase(Locale.ROOT)) {
              case "bfloat16" -> DType.BF16;
              case "float16" -> DType.F16;
              case "float32" -> DType.F32;
              default -> throw json.wrong(key, name, "bfloat16, float16 or float32");
            });
  }

  private void check(JsonObject json) {
    if (numAttentionHeads % numKeyValueHeads != 0) {
      throw json.wrong(
          "num_key_value_heads",
          numKeyValueHeads,
          "a divisor of num_attention_heads, which is " + numAttentionHeads);
    }
    if (headDim % 2 != 0) {
      throw json.wrong("head_dim", headDim, "an even width, as rotary embeddings turn pairs");
    }
    if ((long) headDim * numAttentionHeads > Limits.WIDTH) {
      throw json.wrong("head_dim", headDim, "no more than %d in all heads".formatted(Limits.WIDTH));
    }
    if (!hiddenAct.equals(HIDDEN_ACT)) {
      throw json.wrong("hidden_act", hiddenAct, HIDDEN_ACT);
    }
    if (visionConfig.patchSize() != patchSize) {
      throw json.wrong(
          "vision_config.patch_size",
          visionConfig.patchSize(),
          "patch_size, which is " + patchSize);
    }
    if (sliceConfig.patchSize() != patchSize) {
      throw json.wrong(
          "slice_config.patch_size", sliceConfig.patchSize(), "patch_size, which is " + patchSize);
    }
    if (visionLayers() == 0) {
      throw json.wrong(
          "drop_vision_last_layer", true, "false, as vision_config.num_hidden_layers is 1");
    }
  }
}
