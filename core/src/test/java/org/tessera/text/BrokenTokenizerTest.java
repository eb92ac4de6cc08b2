package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.error.CheckpointException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Broken files cost a CheckpointException that names the file, and nothing else. */
class BrokenTokenizerTest {
  private static final String[] FILES = {
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json"
  };

  @TempDir private Path directory;

  @Test
  void nothingThere() {
    refused("the checkpoint has no tokenizer: expected tokenizer.json, or vocab.json and");
    refused("no tokenizer", directory.resolve("missing"));
  }

  @Test
  void mergesMissing() throws IOException {
    legacy();
    Files.delete(directory.resolve("merges.txt"));
    refused("the checkpoint has no tokenizer");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          /model/type           | "WordPiece"  | model.type is "WordPiece", expected "BPE"
          /model/byte_fallback  | true         | byte_fallback is true, expected false
          /model/ignore_merges  | true         | ignore_merges is true, expected false
          /model/dropout        | 0.1          | model.dropout is set
          /model/end_of_word_suffix | "</w>"   | end_of_word_suffix is "</w>"
          /model/vocab          | []           | model.vocab is not an object
          /model/vocab/!        | 1            | id 1 belongs to both
          /model/vocab/!        | -1           | has id -1, expected 0 to
          /model/vocab/!        | 1048576      | has id 1048576, expected 0 to
          /model/vocab/!        | 99999999999  | is not an integer
          /model/vocab/!        | 1.5          | is not an integer
          /model/vocab/!        | "0"          | is not an integer
          /model/vocab/<image>  | 9999         | token "<image>" has both id
          /model/merges         | {}           | model.merges is not an array
          /model/merges         | ["a"]        | the merge "a" is not two tokens
          /model/merges         | ["a  b"]     | is not two tokens
          /model/merges         | [7]          | model.merges is not a string
          /model/merges         | [["a"]]      | model.merges is not a string
          /model/merges         | ["ab zz"]    | which the vocabulary does not hold
          /model/merges         | ["r e", "r e"] | the merge "r e" is there twice
          /normalizer           | null         | normalizer.type is missing
          /normalizer/type      | "NFKC"       | normalizer.type is "NFKC", expected "NFC"
          /pre_tokenizer        | null         | pre_tokenizer is not a sequence of two
          /pre_tokenizer/pretokenizers/0/pattern/Regex | "a+" | Split pattern is "a+"
          /pre_tokenizer/pretokenizers/0/behavior | "Removed" | expected "Isolated"
          /pre_tokenizer/pretokenizers/1/use_regex | true | use_regex is true, expected false
          /decoder/type         | "WordPiece"  | decoder.type is "WordPiece"
          /post_processor       | {"type": "TemplateProcessing"} | post_processor.type is
          /added_tokens/0/lstrip | true        | lstrip is true, expected false
          /added_tokens/0/normalized | true    | normalized is true, expected false
          /added_tokens/0/id    | null         | is not an integer
          /added_tokens/0/id    | 641          | id 641 belongs to both
          /added_tokens/0/content | ""         | has 0 characters
          /added_tokens/0/content | 5          | added_tokens.content is not a string
          """)
  void tokenizerJson(String pointer, String value, String message) throws IOException {
    ObjectNode root =
        (ObjectNode) TokenizerVectors.read(TokenizerVectors.checkpoint().resolve("tokenizer.json"));
    set(root, pointer, TokenizerVectors.JSON.readTree(value));
    Files.writeString(directory.resolve("tokenizer.json"), root.toString());
    refused(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"add_prefix_space": true}             | add_prefix_space is true
          {"clean_up_tokenization_spaces": true} | clean_up_tokenization_spaces is true
          {"unk_token": "<no>"}                  | unk_token is "<no>", which the vocabulary does
          {"unk_token": {"content": 3}}          | unk_token is not a string
          {"additional_special_tokens": ["<x>"]} | additional_special_tokens is "<x>"
          {"added_tokens_decoder": {"x": {"content": "<x>"}}} | has the key "x", expected an id
          {"added_tokens_decoder": {"3": {"content": "<x>"}}} | id 3 belongs to both
          {"added_tokens_decoder": {"700": {}}}  | added_tokens_decoder.content is not a string
          {"unk_token": "!"}                     | expected an ordinary token "!" for byte 0x21
          """)
  void tokenizerConfig(String config, String message) throws IOException {
    legacy();
    Files.writeString(directory.resolve("tokenizer_config.json"), config);
    Files.delete(directory.resolve("special_tokens_map.json"));
    refused(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "{", "[]", "null", "{} {}", "{\"a\": 1, \"a\": 2}", "{\"a\": NaN}", "\0", "é"})
  void notTheJsonItShouldBe(String content) throws IOException {
    for (String file : new String[] {"tokenizer.json", "tokenizer_config.json", "vocab.json"}) {
      legacy();
      Files.writeString(directory.resolve(file), content);
      refused(file);
      Files.delete(directory.resolve(file));
    }
  }

  @Test
  void deepNestingAndHugeFiles() throws IOException {
    Files.writeString(directory.resolve("tokenizer.json"), "{\"a\":".repeat(1_000_000));
    refused("tokenizer.json is not valid JSON");
    try (var file = Files.newOutputStream(directory.resolve("tokenizer.json"))) {
      byte[] blanks = new byte[1 << 20];
      Arrays.fill(blanks, (byte) ' ');
      for (int i = 0; i <= 64; i++) {
        file.write(blanks);
      }
    }
    refused("tokenizer.json is over 64 MiB");
  }

  @Test
  void aMergeIntoAControlTokenIsLeftOut() throws IOException {
    legacy();
    ObjectNode vocab = (ObjectNode) TokenizerVectors.read(directory.resolve("vocab.json"));
    vocab.put("<x", 1000).put("<x>", 1001);
    Files.writeString(directory.resolve("vocab.json"), vocab.toString());
    Files.writeString(directory.resolve("merges.txt"), "#version: 0.2\n< x\n<x >\n");
    Files.writeString(directory.resolve("tokenizer_config.json"), "{\"unk_token\": \"<x>\"}");
    Files.delete(directory.resolve("special_tokens_map.json"));
    Tokenizer tokenizer = Tokenizer.load(directory);
    assertThat(tokenizer.encode("<x>")).containsExactly(1000, vocab.get(">").intValue());
    assertThat(tokenizer.encodeTrusted("<x>")).containsExactly(1001);
    assertThat(tokenizer.size()).isEqualTo(1002);
    assertThatThrownBy(() -> tokenizer.bytes(999)).hasMessageContaining("no token has id 999");
  }

  /** Anyone can choose tokens that have the same hash code. */
  @Test
  @Timeout(60) // minutes where each is looked for among all others
  void tokensOfOneHashCode() throws IOException {
    legacy();
    ObjectNode vocab = (ObjectNode) TokenizerVectors.read(directory.resolve("vocab.json"));
    for (int i = 0; i < 1 << 17; i++) {
      vocab.put(sameHash(i), 1000 + i);
    }
    Files.writeString(directory.resolve("vocab.json"), vocab.toString());
    assertThat(sameHash(0).hashCode()).isEqualTo(sameHash(77).hashCode());
    assertThat(Tokenizer.load(directory).idOf(sameHash(77))).hasValue(1077);
  }

  private static String sameHash(int number) {
    return IntStream.range(0, 17)
        .mapToObj(bit -> (number >> bit & 1) == 0 ? "Aa" : "BB")
        .collect(Collectors.joining());
  }

  @Test
  void randomDamage() throws IOException {
    Random random = new Random(10);
    int refusals = 0;
    for (int i = 0; i < 400; i++) {
      boolean legacy = i % 2 == 0;
      String file = legacy ? FILES[random.nextInt(FILES.length)] : "tokenizer.json";
      if (legacy) {
        legacy();
      }
      byte[] bytes = Files.readAllBytes(TokenizerVectors.checkpoint().resolve(file));
      Files.write(directory.resolve(file), damage(bytes, random));
      try {
        Tokenizer tokenizer = Tokenizer.load(directory);
        tokenizer.decode(tokenizer.encode("How many red <image> circles? 红色"), true);
      } catch (CheckpointException e) {
        assertThat(e.getMessage()).doesNotContain(directory.toString());
        refusals++;
      }
      Files.deleteIfExists(directory.resolve("tokenizer.json"));
    }
    assertThat(refusals).isGreaterThan(100);
  }

  private static byte[] damage(byte[] bytes, Random random) {
    int at = random.nextInt(bytes.length);
    switch (random.nextInt(4)) {
      case 0 -> {
        return Arrays.copyOf(bytes, at);
      }
      case 1 -> bytes[at] = (byte) random.nextInt(256);
      case 2 -> bytes[at] = "\"{}[],:0 \n".getBytes(StandardCharsets.US_ASCII)[random.nextInt(10)];
      default -> {
        int length = Math.min(random.nextInt(1, 64), bytes.length - at);
        System.arraycopy(bytes, random.nextInt(bytes.length - length + 1), bytes, at, length);
      }
    }
    return bytes;
  }

  private void legacy() throws IOException {
    for (String file : FILES) {
      Files.write(
          directory.resolve(file), Files.readAllBytes(TokenizerVectors.checkpoint().resolve(file)));
    }
  }

  private void refused(String message) {
    refused(message, directory);
  }

  private static void refused(String message, Path directory) {
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(message);
  }

  private static void set(ObjectNode root, String pointer, JsonNode value) {
    int last = pointer.lastIndexOf('/');
    JsonNode parent = last == 0 ? root : root.at(pointer.substring(0, last));
    String key = pointer.substring(last + 1);
    Consumer<JsonNode> put =
        parent instanceof ArrayNode array
            ? v -> array.set(Integer.parseInt(key), v)
            : v -> ((ObjectNode) parent).set(key, v);
    put.accept(value);
  }
}
