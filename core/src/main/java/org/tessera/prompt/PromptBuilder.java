package org.tessera.prompt;

import java.util.List;
import java.util.Optional;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.config.CheckpointConfig;
import org.tessera.config.PreprocessorConfig;
import org.tessera.error.CheckpointException;
import org.tessera.error.InvalidRequestException;
import org.tessera.image.Grid;
import org.tessera.text.Tokenizer;

/**
 * Builds prompts for one checkpoint. Where no text holds a control token's name, the ids are those
 * of the original, which tokenizes the whole prompt as one string: between two control tokens all
 * text is one run, whoever wrote it. Where a text does hold one, here it stays text. Immutable and
 * safe for any number of threads.
 */
public final class PromptBuilder {
  private final Tokenizer tokenizer;
  private final ControlIds ids;
  private final int queryNum;
  private final boolean useImageId;
  private final int maxPositions;

  /**
   * @param queryNum placeholder tokens of an overview or a slice
   * @param useImageId the checkpoint's own, for requests that do not say
   * @param maxPositions tokens of prompt and answer at most, {@code max_position_embeddings}
   * @throws CheckpointException where the tokenizer lacks one of the control tokens
   */
  public PromptBuilder(
      Tokenizer tokenizer,
      ImageTokens imageTokens,
      int queryNum,
      boolean useImageId,
      int maxPositions) {
    this.tokenizer = tokenizer;
    this.ids = ControlIds.resolve(tokenizer, imageTokens);
    this.queryNum = queryNum;
    this.useImageId = useImageId;
    this.maxPositions = maxPositions;
  }

  /** For the checkpoint that {@code config} and {@code tokenizer} were read from. */
  public static PromptBuilder of(Tokenizer tokenizer, CheckpointConfig config) {
    PreprocessorConfig names = config.preprocessor();
    return new PromptBuilder(
        tokenizer,
        new ImageTokens(
            names.imStart(),
            names.imEnd(),
            names.sliceStart(),
            names.sliceEnd(),
            names.unk(),
            names.imIdStart(),
            names.imIdEnd()),
        config.model().queryNum(),
        names.useImageId(),
        config.model().maxPositionEmbeddings());
  }

  /**
   * To be asked before pictures are decoded.
   *
   * @throws InvalidRequestException where so many pictures cannot fit, however they are cut
   */
  public void checkPictureCount(int pictures, InputOptions options) {
    new PromptLimit(options, maxPositions).checkPictureCount(pictures, queryNum);
  }

  /**
   * The prompt of a conversation.
   *
   * @param grids one for each picture in the order of the messages; empty for a picture that is not
   *     sliced
   * @param addGenerationPrompt whether the model is to answer next; then the last message must be
   *     the user's
   * @throws InvalidRequestException where the messages are no conversation, or the prompt is over
   *     {@link InputOptions#maxInputTokens} and is not to be cut
   */
  public Prompt build(
      List<Message> messages,
      List<Optional<Grid>> grids,
      InputOptions options,
      boolean addGenerationPrompt) {
    int images = Conversation.check(messages, addGenerationPrompt);
    if (images != grids.size()) {
      throw new IllegalArgumentException(
          "%d pictures but %d grids".formatted(images, grids.size()));
    }
    PromptLimit limit = new PromptLimit(options, maxPositions);
    limit.checkImages(grids, queryNum);
    PromptWriter writer =
        new PromptWriter(tokenizer, ids, queryNum, options.useImageId().orElse(useImageId));
    for (Piece piece : ChatTemplate.pieces(messages, addGenerationPrompt)) {
      switch (piece) {
        case Piece.Control control -> writer.control(ids.of(control));
        case Piece.Text text -> writer.text(text.text());
        case Piece.Picture picture ->
            writer.picture(picture.imageIndex(), grids.get(picture.imageIndex()));
      }
    }
    return limit.apply(writer.finish());
  }

  /**
   * What stands for a picture in a prompt, as it does for the first picture of a conversation.
   *
   * @param grid how it is cut; empty where it is not
   */
  public Prompt placeholder(Optional<Grid> grid, InputOptions options) {
    PromptWriter writer =
        new PromptWriter(tokenizer, ids, queryNum, options.useImageId().orElse(useImageId));
    writer.picture(0, grid);
    return writer.finish();
  }
}
