package org.tessera.cli;

import java.util.Optional;
import org.tessera.api.InputOptions;
import picocli.CommandLine.Option;

/** How pictures and messages become a prompt. */
final class InputArguments {
  /** What to do with the orientation that a camera wrote. */
  enum Exif {
    APPLY,
    IGNORE
  }

  /** Whose quirks to reproduce. */
  enum Compat {
    ORIGINAL
  }

  @Option(
      names = "--max-slice-nums",
      paramLabel = "N",
      description = "Slices of a picture at most (the checkpoint's own; for videos 2).")
  Optional<Integer> maxSliceNums = Optional.empty();

  @Option(
      names = "--use-image-id",
      paramLabel = "true|false",
      arity = "1",
      description = "Number the pictures (the checkpoint's own; for videos false).")
  Optional<Boolean> useImageId = Optional.empty();

  @Option(
      names = "--max-input-tokens",
      paramLabel = "N",
      description = "Refuse prompts over this many tokens (8192).")
  Optional<Integer> maxInputTokens = Optional.empty();

  @Option(
      names = "--truncate",
      description = "Cut the end of a prompt that is too long instead, as the original does.")
  boolean truncate;

  @Option(
      names = "--exif",
      paramLabel = "apply|ignore",
      defaultValue = "APPLY",
      description =
          "Turn pictures as their EXIF orientation says; the original ignores it (apply).")
  Exif exif = Exif.APPLY;

  @Option(
      names = "--compat",
      paramLabel = "original",
      description =
          "Reproduce the original's quirks: `!` is masked in the prompt and dropped from the answer.")
  Optional<Compat> compat = Optional.empty();

  /**
   * @param video whether a video is among the input: its own settings hold where none are given
   * @throws org.tessera.error.InvalidRequestException where a value is out of range
   */
  InputOptions toOptions(boolean video) {
    InputOptions options = video ? InputOptions.video() : InputOptions.defaults();
    if (maxSliceNums.isPresent()) {
      options = options.withMaxSliceNums(maxSliceNums.get());
    }
    if (useImageId.isPresent()) {
      options = options.withUseImageId(useImageId.get());
    }
    if (maxInputTokens.isPresent()) {
      options = options.withMaxInputTokens(maxInputTokens.get());
    }
    return options
        .withTruncate(truncate)
        .withApplyExif(exif == Exif.APPLY)
        .withCompatOriginal(compat.isPresent());
  }
}
