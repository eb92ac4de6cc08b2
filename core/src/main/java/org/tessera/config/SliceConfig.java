package org.tessera.config;

import java.util.OptionalInt;

/**
 * {@code slice_config} of config.json: how training cut pictures. The engine follows
 * preprocessor_config.json, which has to agree.
 *
 * @param maxSliceNums slices at most, the overview not counted
 * @param scaleResolution side in pixels of the square whose area a slice has; empty where
 *     config.json leaves it to the preprocessor
 * @param patchSize side of a patch in pixels
 */
public record SliceConfig(int maxSliceNums, OptionalInt scaleResolution, int patchSize) {

  static SliceConfig of(JsonObject json, int patchSize) {
    return new SliceConfig(
        json.integer("max_slice_nums", 1, Limits.SLICES, 1),
        json.optionalInteger("scale_resolution", 1, Limits.PIXELS),
        json.integer("patch_size", 1, Limits.PATCH_PIXELS, patchSize));
  }

  /** What the original assumes where config.json has no {@code slice_config}: no slicing. */
  static SliceConfig absent(int patchSize) {
    return new SliceConfig(1, OptionalInt.empty(), patchSize);
  }
}
