package org.tessera.config;

import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tessera.error.CheckpointException;

/**
 * tokenizer_config.json.
 *
 * @param addedTokensDecoder tokens that are matched verbatim, by id in ascending order
 * @param hasChatTemplate whether the file has a {@code chat_template}. It is never run: templates
 *     are programs, and a checkpoint is data
 */
public record TokenizerConfig(
    Map<Integer, AddedToken> addedTokensDecoder,
    Optional<String> bosToken,
    Optional<String> eosToken,
    Optional<String> unkToken,
    Optional<String> padToken,
    boolean hasChatTemplate) {

  static final String FILE = "tokenizer_config.json";

  public TokenizerConfig {
    addedTokensDecoder = Collections.unmodifiableMap(new TreeMap<>(addedTokensDecoder));
  }

  /**
   * A token that is matched before the text is split.
   *
   * @param special left out when decoding without special tokens
   */
  public record AddedToken(
      String content,
      boolean special,
      boolean lstrip,
      boolean rstrip,
      boolean singleWord,
      boolean normalized) {}

  static TokenizerConfig of(JsonObject json) {
    return new TokenizerConfig(
        json.optionalObject("added_tokens_decoder").map(TokenizerConfig::added).orElse(Map.of()),
        token(json, "bos_token"),
        token(json, "eos_token"),
        token(json, "unk_token"),
        token(json, "pad_token"),
        json.has("chat_template"));
  }

  private static Map<Integer, AddedToken> added(JsonObject json) {
    Map<Integer, AddedToken> tokens = new TreeMap<>();
    for (String key : json.keys()) {
      int id = id(json, key);
      JsonObject token = json.object(key);
      AddedToken added =
          new AddedToken(
              token.string("content"),
              token.bool("special", false),
              token.bool("lstrip", false),
              token.bool("rstrip", false),
              token.bool("single_word", false),
              token.bool("normalized", true));
      if (added.content().isEmpty()) {
        throw token.wrong("content", "\"\"", "the text of a token");
      }
      tokens.put(id, added);
    }
    return tokens;
  }

  private static int id(JsonObject json, String key) {
    // Canonical decimals only, so that "7" and "07" cannot both mean token 7.
    if (!key.matches("0|[1-9][0-9]{0,7}")) {
      throw new CheckpointException(
          "%s is not a token id, expected a whole number from 0 to 99999999"
              .formatted(json.name(key)));
    }
    return Integer.parseInt(key);
  }

  /** Savers write a token as its text or as an object around it. */
  private static Optional<String> token(JsonObject json, String key) {
    if (!json.has(key)) {
      return Optional.empty();
    }
    return Optional.of(json.isString(key) ? json.string(key) : json.object(key).string("content"));
  }
}
