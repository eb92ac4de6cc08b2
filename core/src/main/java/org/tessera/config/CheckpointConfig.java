package org.tessera.config;

import java.nio.file.Path;
import java.util.Collection;
import java.util.Optional;
import org.tessera.error.CheckpointException;

/** The configuration files of a checkpoint, checked one by one and against each other. */
public record CheckpointConfig(
    ModelConfig model,
    PreprocessorConfig preprocessor,
    TokenizerConfig tokenizer,
    Optional<GenerationConfig> generation) {

  /** Real files have a few kilobytes; a tokenizer's with a chat template less than one megabyte. */
  static final int MAX_FILE_BYTES = 4 << 20;

  /**
   * Reads config.json, preprocessor_config.json, tokenizer_config.json and, where there is one,
   * generation_config.json.
   *
   * @param knownArchitectures the values of {@code architectures} that the caller can build
   * @throws CheckpointException where a file is missing, cannot be read, misses a key, holds an
   *     impossible value, contradicts another one, or asks for what this build cannot run
   */
  public static CheckpointConfig read(Path directory, Collection<String> knownArchitectures) {
    CheckpointDirectory files = CheckpointDirectory.open(directory);
    ModelConfig model = ModelConfig.of(read(files, ModelConfig.FILE), knownArchitectures);
    PreprocessorConfig preprocessor =
        PreprocessorConfig.of(
            read(files, PreprocessorConfig.FILE), model.visionConfig().numChannels());
    TokenizerConfig tokenizer = TokenizerConfig.of(read(files, TokenizerConfig.FILE));
    Optional<GenerationConfig> generation =
        files
            .readIfPresent(GenerationConfig.FILE, MAX_FILE_BYTES)
            .map(content -> JsonObject.parse(GenerationConfig.FILE, content))
            .map(GenerationConfig::of);
    requireAgreement(model, preprocessor);
    return new CheckpointConfig(model, preprocessor, tokenizer, generation);
  }

  private static JsonObject read(CheckpointDirectory files, String name) {
    return JsonObject.parse(name, files.read(name, MAX_FILE_BYTES));
  }

  /** What the original's {@code chat()} asserts, and the resolution where both files give it. */
  private static void requireAgreement(ModelConfig model, PreprocessorConfig preprocessor) {
    SliceConfig slices = model.sliceConfig();
    agree("query_num", model.queryNum(), "image_feature_size", preprocessor.imageFeatureSize());
    agree("patch_size", model.patchSize(), "patch_size", preprocessor.patchSize());
    agree("use_image_id", model.useImageId(), "use_image_id", preprocessor.useImageId());
    agree("slice_mode", model.sliceMode(), "slice_mode", preprocessor.sliceMode());
    agree(
        "slice_config.max_slice_nums",
        slices.maxSliceNums(),
        "max_slice_nums",
        preprocessor.maxSliceNums());
    slices
        .scaleResolution()
        .ifPresent(resolution ->
            agree(
                "slice_config.scale_resolution",
                resolution,
                "scale_resolution",
                preprocessor.scaleResolution()));
  }

  private static void agree(
      String modelKey, Object modelValue, String preprocessorKey, Object preprocessorValue) {
    if (!modelValue.equals(preprocessorValue)) {
      throw new CheckpointException(
          "%s: %s is %s, but %s: %s is %s"
              .formatted(
                  ModelConfig.FILE,
                  modelKey,
                  modelValue,
                  PreprocessorConfig.FILE,
                  preprocessorKey,
                  preprocessorValue));
    }
  }
}
