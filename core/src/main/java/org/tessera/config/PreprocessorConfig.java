package org.tessera.config;

import java.util.List;
import java.util.Optional;
import org.tessera.error.CheckpointException;

/**
 * preprocessor_config.json: how a picture becomes slices, patches and placeholder text.
 *
 * @param maxSliceNums slices at most, the overview not counted
 * @param scaleResolution side in pixels of the square whose area a slice has
 * @param patchSize side of a patch in pixels
 * @param useImageId whether a picture is preceded by its number between {@code imIdStart} and
 *     {@code imIdEnd}
 * @param imageFeatureSize placeholder tokens of a picture or slice
 * @param normMean subtracted from a channel's value in 0 to 1, a value per channel
 * @param normStd then divided by, a value per channel
 * @param version as text; empty where the file has none
 */
public record PreprocessorConfig(
    int maxSliceNums,
    int scaleResolution,
    int patchSize,
    boolean useImageId,
    int imageFeatureSize,
    boolean sliceMode,
    List<Float> normMean,
    List<Float> normStd,
    String imStart,
    String imEnd,
    String sliceStart,
    String sliceEnd,
    String unk,
    String imIdStart,
    String imIdEnd,
    Optional<String> version) {

  static final String FILE = "preprocessor_config.json";

  public PreprocessorConfig {
    normMean = List.copyOf(normMean);
    normStd = List.copyOf(normStd);
  }

  static PreprocessorConfig of(JsonObject json, int channels) {
    return new PreprocessorConfig(
        json.integer("max_slice_nums", 1, Limits.SLICES),
        json.integer("scale_resolution", 1, Limits.PIXELS),
        json.integer("patch_size", 1, Limits.PATCH_PIXELS),
        json.bool("use_image_id"),
        json.integer("image_feature_size", 1, Limits.QUERIES),
        json.bool("slice_mode"),
        perChannel(json, "norm_mean", -1e3, channels),
        perChannel(json, "norm_std", 1e-3, channels),
        marker(json, "im_start"),
        marker(json, "im_end"),
        marker(json, "slice_start"),
        marker(json, "slice_end"),
        marker(json, "unk"),
        marker(json, "im_id_start"),
        marker(json, "im_id_end"),
        json.optionalStringOrNumber("version"));
  }

  private static List<Float> perChannel(JsonObject json, String key, double min, int channels) {
    List<Float> values = json.numbers(key, min, 1e3);
    if (values.size() != channels) {
      throw new CheckpointException(
          "%s has %d values, expected one for each of %d channels"
              .formatted(json.name(key), values.size(), channels));
    }
    return values;
  }

  private static String marker(JsonObject json, String key) {
    String marker = json.string(key);
    if (marker.isEmpty()) {
      throw json.wrong(key, "\"\"", "the text of a token");
    }
    return marker;
  }
}
