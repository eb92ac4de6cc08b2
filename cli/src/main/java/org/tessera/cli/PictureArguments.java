package org.tessera.cli;

import java.util.Locale;
import java.util.Optional;
import org.tessera.api.InputOptions;
import picocli.CommandLine.Option;

/** How pictures are cut and numbered. */
final class PictureArguments {
  /** What to do with the orientation that a camera wrote. */
  enum Exif {
    APPLY,
    IGNORE;

    /** As the command line writes it: picocli reads and shows this. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
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
      names = "--exif",
      paramLabel = "apply|ignore",
      defaultValue = "apply",
      description =
          "Turn pictures as their EXIF orientation says; the original ignores it (apply).")
  Exif exif = Exif.APPLY;

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
    return options.withApplyExif(exif == Exif.APPLY);
  }
}
