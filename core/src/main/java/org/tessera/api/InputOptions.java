package org.tessera.api;

import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.error.InvalidRequestException;

/**
 * How messages and pictures become a prompt.
 *
 * @param maxSliceNums slices a picture at most; absent for the checkpoint's own
 * @param useImageId whether pictures are numbered; absent for the checkpoint's own
 * @param maxInputTokens prompts over this are refused, or cut where {@code truncate} is set
 * @param truncate cut the end of a prompt that is too long, as the original does
 * @param applyExif turn pictures as their EXIF orientation says; the original does not
 * @param compatOriginal reproduce the original's quirks: {@code !} (id 0) is masked and dropped
 * @param cacheSalt prompts with different ones share nothing in the cache, not even their timing
 */
public record InputOptions(
    OptionalInt maxSliceNums,
    Optional<Boolean> useImageId,
    int maxInputTokens,
    boolean truncate,
    boolean applyExif,
    boolean compatOriginal,
    String cacheSalt) {
  /** The original's {@code max_inp_length}. */
  public static final int DEFAULT_MAX_INPUT_TOKENS = 8192;

  public InputOptions {
    if (maxSliceNums.isPresent() && maxSliceNums.getAsInt() < 1) {
      throw new InvalidRequestException(
          "max_slice_nums must be at least 1, not " + maxSliceNums.getAsInt());
    }
    if (maxInputTokens < 1) {
      throw new InvalidRequestException(
          "max_input_tokens must be at least 1, not " + maxInputTokens);
    }
  }

  public static InputOptions defaults() {
    return new InputOptions(
        OptionalInt.empty(), Optional.empty(), DEFAULT_MAX_INPUT_TOKENS, false, true, false, "");
  }

  /** What the original's documentation prescribes for video frames: two slices, no picture ids. */
  public static InputOptions video() {
    return defaults().withMaxSliceNums(2).withUseImageId(false);
  }

  public InputOptions withMaxSliceNums(int value) {
    return new InputOptions(
        OptionalInt.of(value),
        useImageId,
        maxInputTokens,
        truncate,
        applyExif,
        compatOriginal,
        cacheSalt);
  }

  public InputOptions withUseImageId(boolean value) {
    return new InputOptions(
        maxSliceNums,
        Optional.of(value),
        maxInputTokens,
        truncate,
        applyExif,
        compatOriginal,
        cacheSalt);
  }

  public InputOptions withMaxInputTokens(int value) {
    return new InputOptions(
        maxSliceNums, useImageId, value, truncate, applyExif, compatOriginal, cacheSalt);
  }

  public InputOptions withTruncate(boolean value) {
    return new InputOptions(
        maxSliceNums, useImageId, maxInputTokens, value, applyExif, compatOriginal, cacheSalt);
  }

  public InputOptions withApplyExif(boolean value) {
    return new InputOptions(
        maxSliceNums, useImageId, maxInputTokens, truncate, value, compatOriginal, cacheSalt);
  }

  public InputOptions withCompatOriginal(boolean value) {
    return new InputOptions(
        maxSliceNums, useImageId, maxInputTokens, truncate, applyExif, value, cacheSalt);
  }

  public InputOptions withCacheSalt(String value) {
    return new InputOptions(
        maxSliceNums, useImageId, maxInputTokens, truncate, applyExif, compatOriginal, value);
  }
}
