package org.tessera.cli;

import java.util.Locale;
import java.util.Optional;
import org.tessera.api.InputOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How pictures and messages become a prompt. */
final class InputArguments {
  /** Whose quirks to reproduce. */
  enum Compat {
    ORIGINAL;

    /** As the command line writes it: picocli reads and shows this. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Mixin private final PictureArguments picture = new PictureArguments();

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
    InputOptions options = picture.toOptions(video);
    if (maxInputTokens.isPresent()) {
      options = options.withMaxInputTokens(maxInputTokens.get());
    }
    return options.withTruncate(truncate).withCompatOriginal(compat.isPresent());
  }
}
