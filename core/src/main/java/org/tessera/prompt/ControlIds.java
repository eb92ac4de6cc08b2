package org.tessera.prompt;

import java.util.OptionalInt;
import org.tessera.error.CheckpointException;
import org.tessera.text.Tokenizer;

/** The ids of all tokens that only the template emits. */
record ControlIds(
    int messageStart,
    int messageEnd,
    int imStart,
    int imEnd,
    int sliceStart,
    int sliceEnd,
    int unk,
    int imIdStart,
    int imIdEnd) {
  private static final String PREPROCESSOR = "preprocessor_config.json";
  private static final String TEMPLATE = "tokenizer_config.json";

  /**
   * @throws CheckpointException where the tokenizer does not hold one of them as a special token
   */
  static ControlIds resolve(Tokenizer tokenizer, ImageTokens tokens) {
    return new ControlIds(
        id(tokenizer, TEMPLATE, "chat_template", Piece.Control.MESSAGE_START.token()),
        id(tokenizer, TEMPLATE, "chat_template", Piece.Control.MESSAGE_END.token()),
        id(tokenizer, PREPROCESSOR, "im_start", tokens.imStart()),
        id(tokenizer, PREPROCESSOR, "im_end", tokens.imEnd()),
        id(tokenizer, PREPROCESSOR, "slice_start", tokens.sliceStart()),
        id(tokenizer, PREPROCESSOR, "slice_end", tokens.sliceEnd()),
        id(tokenizer, PREPROCESSOR, "unk", tokens.unk()),
        id(tokenizer, PREPROCESSOR, "im_id_start", tokens.imIdStart()),
        id(tokenizer, PREPROCESSOR, "im_id_end", tokens.imIdEnd()));
  }

  int of(Piece.Control control) {
    return switch (control) {
      case MESSAGE_START -> messageStart;
      case MESSAGE_END -> messageEnd;
    };
  }

  private static int id(Tokenizer tokenizer, String file, String key, String token) {
    OptionalInt id = tokenizer.idOf(token);
    if (id.isEmpty() || !tokenizer.isSpecial(id.getAsInt())) {
      throw new CheckpointException(
          "%s: %s uses \"%s\", which is no special token of the tokenizer"
              .formatted(file, key, token));
    }
    return id.getAsInt();
  }
}
