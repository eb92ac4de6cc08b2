package org.tessera.text;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tessera.error.CheckpointException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads a tokenizer from a checkpoint's directory: from tokenizer.json or, where there is none,
 * from vocab.json, merges.txt and added_tokens.json; in both cases with what tokenizer_config.json
 * and special_tokens_map.json add. Whatever would tokenize otherwise than {@link Tokenizer} does is
 * refused.
 */
final class TokenizerFiles {
  static final String TOKENIZER = "tokenizer.json";
  static final String VOCAB = "vocab.json";
  static final String MERGES = "merges.txt";
  static final String ADDED_TOKENS = "added_tokens.json";
  static final String CONFIG = "tokenizer_config.json";
  static final String SPECIAL_TOKENS_MAP = "special_tokens_map.json";

  private static final int MAX_FILE_BYTES = 64 << 20;
  private static final List<String> TOKEN_KEYS =
      List.of("unk_token", "bos_token", "eos_token", "pad_token");
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private final Path directory;
  private final VocabularyBuilder builder = new VocabularyBuilder();

  private TokenizerFiles(Path directory) {
    this.directory = directory;
  }

  static Vocabulary read(Path directory) {
    return new TokenizerFiles(directory).read();
  }

  private Vocabulary read() {
    Optional<JsonNode> tokenizer = json(TOKENIZER);
    Optional<JsonNode> config = json(CONFIG);
    if (tokenizer.isPresent()) {
      readTokenizer(tokenizer.get());
    } else {
      readVocab(VOCAB, json(VOCAB).orElseThrow(this::noTokenizer));
      readMergesText(text(MERGES).orElseThrow(this::noTokenizer));
    }
    config.ifPresent(this::readConfig);
    if (tokenizer.isEmpty()) {
      json(ADDED_TOKENS).ifPresent(this::readAddedTokens);
    }
    config.ifPresent(node -> promote(CONFIG, node));
    json(SPECIAL_TOKENS_MAP).ifPresent(node -> promote(SPECIAL_TOKENS_MAP, node));
    return builder.build(tokenizer.isPresent() ? TOKENIZER : VOCAB);
  }

  private CheckpointException noTokenizer() {
    return new CheckpointException(
        "the checkpoint has no tokenizer: expected %s, or %s and %s"
            .formatted(TOKENIZER, VOCAB, MERGES));
  }

  private void readTokenizer(JsonNode root) {
    PipelineCheck.check(TOKENIZER, root);
    JsonNode model = root.path("model");
    readVocab(TOKENIZER + ": model.vocab", model.path("vocab"));
    JsonNode merges = model.path("merges");
    if (!merges.isArray()) {
      throw new CheckpointException(TOKENIZER + ": model.merges is not an array");
    }
    for (JsonNode merge : merges) {
      if (merge.isArray() && merge.size() == 2) {
        builder.merge(
            TOKENIZER,
            string(TOKENIZER, "model.merges", merge.get(0)),
            string(TOKENIZER, "model.merges", merge.get(1)));
      } else {
        readMerge(TOKENIZER, string(TOKENIZER, "model.merges", merge));
      }
    }
    for (JsonNode token : root.path("added_tokens")) {
      readAddedToken(
          TOKENIZER, "added_tokens", token, id(TOKENIZER, "added_tokens", token.path("id")));
    }
  }

  private void readVocab(String file, JsonNode vocab) {
    if (!vocab.isObject()) {
      throw new CheckpointException(file + " is not an object of tokens and ids");
    }
    for (Map.Entry<String, JsonNode> entry : vocab.properties()) {
      builder.token(file, entry.getKey(), id(file, entry.getKey(), entry.getValue()));
    }
  }

  private void readMergesText(String text) {
    text.lines()
        .filter(line -> !line.isEmpty() && !line.startsWith("#version"))
        .forEach(line -> readMerge(MERGES, line));
  }

  private void readMerge(String file, String merge) {
    int space = merge.indexOf(' ');
    if (space <= 0 || space == merge.length() - 1 || merge.indexOf(' ', space + 1) >= 0) {
      throw new CheckpointException(
          "%s: the merge %s is not two tokens with a space between them"
              .formatted(file, VocabularyBuilder.quote(merge)));
    }
    builder.merge(file, merge.substring(0, space), merge.substring(space + 1));
  }

  private void readConfig(JsonNode config) {
    PipelineCheck.absentOrFalse(CONFIG, config, "add_prefix_space");
    PipelineCheck.absentOrFalse(CONFIG, config, "clean_up_tokenization_spaces");
    JsonNode decoder = config.path("added_tokens_decoder");
    for (Map.Entry<String, JsonNode> entry : decoder.properties()) {
      String id = entry.getKey();
      if (!id.matches("[0-9]{1,9}")) {
        throw new CheckpointException(
            "%s: added_tokens_decoder has the key %s, expected an id"
                .formatted(CONFIG, VocabularyBuilder.quote(id)));
      }
      readAddedToken(CONFIG, "added_tokens_decoder", entry.getValue(), Integer.parseInt(id));
    }
  }

  private void readAddedToken(String file, String key, JsonNode token, long id) {
    String content = string(file, key + ".content", token.path("content"));
    for (String flag : List.of("lstrip", "rstrip", "single_word", "normalized")) {
      PipelineCheck.absentOrFalse(file, token, flag);
    }
    builder.added(file, content, id, token.path("special").asBoolean(false));
  }

  /** The format before {@code added_tokens_decoder}: names and ids only, all of them special. */
  private void readAddedTokens(JsonNode tokens) {
    for (Map.Entry<String, JsonNode> entry : tokens.properties()) {
      long id = id(ADDED_TOKENS, entry.getKey(), entry.getValue());
      builder.added(ADDED_TOKENS, entry.getKey(), id, true);
    }
  }

  private void promote(String file, JsonNode node) {
    for (String key : TOKEN_KEYS) {
      if (!node.path(key).isMissingNode() && !node.path(key).isNull()) {
        builder.promote(file, key, tokenName(file, key, node.path(key)));
      }
    }
    for (JsonNode token : node.path("additional_special_tokens")) {
      String key = "additional_special_tokens";
      builder.promote(file, key, tokenName(file, key, token));
    }
  }

  private static String tokenName(String file, String key, JsonNode token) {
    return string(file, key, token.isObject() ? token.path("content") : token);
  }

  private static String string(String file, String key, JsonNode node) {
    if (!node.isString()) {
      throw new CheckpointException("%s: %s is not a string".formatted(file, key));
    }
    return node.stringValue();
  }

  private static long id(String file, String key, JsonNode node) {
    if (!node.isIntegralNumber() || !node.canConvertToInt()) {
      throw new CheckpointException(
          "%s: the id of %s is not an integer".formatted(file, VocabularyBuilder.quote(key)));
    }
    return node.intValue();
  }

  private Optional<JsonNode> json(String file) {
    return bytes(file).map(bytes -> parse(file, bytes));
  }

  private static JsonNode parse(String file, byte[] bytes) {
    try {
      JsonNode node = JSON.readTree(bytes);
      if (!node.isObject()) {
        throw new CheckpointException(file + " is not a JSON object");
      }
      return node;
    } catch (JacksonException e) {
      throw new CheckpointException(
          "%s is not valid JSON near line %d, column %d"
              .formatted(
                  file,
                  e.getLocation() == null ? 0 : e.getLocation().getLineNr(),
                  e.getLocation() == null ? 0 : e.getLocation().getColumnNr()),
          e);
    }
  }

  private Optional<String> text(String file) {
    return bytes(file).map(bytes -> new String(bytes, StandardCharsets.UTF_8));
  }

  private Optional<byte[]> bytes(String file) {
    Path path = directory.resolve(file);
    if (!Files.exists(path)) {
      return Optional.empty();
    }
    try (InputStream in = Files.newInputStream(path)) {
      byte[] bytes = in.readNBytes(MAX_FILE_BYTES + 1);
      if (bytes.length > MAX_FILE_BYTES) {
        throw new CheckpointException(
            "%s is over %d MiB, which no tokenizer is".formatted(file, MAX_FILE_BYTES >> 20));
      }
      return Optional.of(bytes);
    } catch (IOException e) {
      throw new CheckpointException(file + " cannot be read", e);
    }
  }
}
