package org.tessera.prompt;

import java.util.List;
import java.util.Optional;
import org.tessera.api.InputOptions;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.Grid;

/** How long a prompt may be, and what happens to a longer one. */
record PromptLimit(InputOptions options, int maxPositions) {
  /** A prompt is not even made where its pictures alone need more, cut or not. */
  private static final int MAX_IMAGE_TOKENS = 1 << 20;

  /** Refuses pictures whose overviews alone are too many, before any of them is decoded. */
  void checkPictureCount(int pictures, int queryNum) {
    int limit = Math.min(options.maxInputTokens(), maxPositions);
    long tokens = pictures * (queryNum + 2L); // each between its two control tokens
    if (tokens > (options.truncate() ? MAX_IMAGE_TOKENS : limit)) {
      throw new InvalidRequestException(
          ("%d pictures need at least %d tokens, the limit is %d of the model's %d positions;"
                  + " send fewer pictures or frames, or raise max_input_tokens")
              .formatted(pictures, tokens, limit, maxPositions));
    }
  }

  /** Bounds what pictures can cost before a single token is written. */
  void checkImages(List<Optional<Grid>> grids, int queryNum) {
    long spans = 0;
    for (Optional<Grid> grid : grids) {
      spans += 1 + grid.map(Grid::sliceCount).orElse(0);
    }
    if (spans * queryNum > MAX_IMAGE_TOKENS) {
      throw new InvalidRequestException(
          ("%d pictures need %d tokens, the model has %d positions; send fewer pictures or"
                  + " frames, or lower max_slice_nums")
              .formatted(grids.size(), spans * queryNum, maxPositions));
    }
  }

  /** The prompt where it fits, its head where it is to be cut, else a refusal. */
  Prompt apply(Prompt prompt) {
    int limit = Math.min(options.maxInputTokens(), maxPositions);
    int tokens = prompt.tokenIds().size();
    if (tokens <= limit) {
      return prompt;
    }
    if (!options.truncate()) {
      throw new InvalidRequestException(tooLong(prompt, limit));
    }
    for (ImageSpan span : prompt.imageSpans()) {
      if (span.start() <= limit && limit <= span.end()) {
        throw new InvalidRequestException(
            ("cutting the prompt of %d tokens to %d would cut through picture %d, whose %s is at"
                    + " tokens %d to %d; change max_input_tokens or the pictures")
                .formatted(
                    tokens,
                    limit,
                    span.imageIndex(),
                    span.sliceIndex() == 0 ? "overview" : "slice " + span.sliceIndex(),
                    span.start() - 1,
                    span.end()));
      }
    }
    List<ImageSpan> kept = prompt.imageSpans().stream().filter(span -> span.end() < limit).toList();
    return new Prompt(
        prompt.tokenIds().subList(0, limit), kept, kept.stream().mapToInt(ImageSpan::length).sum());
  }

  private String tooLong(Prompt prompt, int limit) {
    StringBuilder message =
        new StringBuilder("the prompt has %d tokens".formatted(prompt.tokenIds().size()));
    if (prompt.imageTokens() > 0) {
      message.append(", %d of them for pictures".formatted(prompt.imageTokens()));
    }
    message.append(", the limit is %d; ".formatted(limit));
    message.append(
        prompt.imageTokens() > 0
            ? "send fewer pictures or frames or less text, lower max_slice_nums"
            : "shorten the text");
    if (limit < maxPositions) {
      message.append(
          ", or raise max_input_tokens, up to the model's %d positions".formatted(maxPositions));
    }
    return message.toString();
  }
}
