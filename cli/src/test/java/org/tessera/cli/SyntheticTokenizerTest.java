package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.text.Detokenizer;
import org.tessera.text.Tokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** That the made-up tokenizer is one of MiniCPM-V 2.6's form. */
class SyntheticTokenizerTest {
  private static final int VOCAB_SIZE = 151_666;

  @TempDir static Path folder;
  private static Tokenizer tokenizer;

  @BeforeAll
  static void write() throws IOException {
    tokenizer = write(folder, VOCAB_SIZE);
  }

  private static Tokenizer write(Path directory, int vocabSize) throws IOException {
    SyntheticTokenizer.write(directory, vocabSize);
    try (var in = ModelShape.class.getResourceAsStream("shapes/tokenizer_config.json")) {
      Files.copy(Objects.requireNonNull(in), directory.resolve("tokenizer_config.json"));
    }
    return Tokenizer.load(directory);
  }

  @Test
  void thereAreAsManyTokensOfEachKind() throws IOException {
    JsonNode vocab = JsonMapper.shared().readTree(folder.resolve("vocab.json").toFile());
    assertThat(vocab).hasSize(151_643);
    // 256 are bytes, and no text becomes <unk>.
    assertThat(Files.readAllLines(folder.resolve("merges.txt"))).hasSize(151_643 - 256 - 1);
    assertThat(tokenizer.size()).isEqualTo(VOCAB_SIZE);
    assertThat(IntStream.range(0, VOCAB_SIZE)).allMatch(tokenizer::hasToken);
    // Qwen2's have 2.8 and 1.7 MB.
    assertThat(Files.size(folder.resolve("vocab.json"))).isBetween(1_500_000L, 3_000_000L);
    assertThat(Files.size(folder.resolve("merges.txt"))).isBetween(500_000L, 2_000_000L);
  }

  @ParameterizedTest
  @CsvSource({
    "<unk>,128244",
    "<|endoftext|>,151643",
    "<|im_start|>,151644",
    "<|im_end|>,151645",
    "<image>,151646",
    "</image>,151647",
    "<ref>,151648",
    "</point>,151655",
    "<slice>,151656",
    "</slice>,151657",
    "<image_id>,151658",
    "</image_id>,151659",
    "<|reserved_special_token_0|>,151660",
    "<|reserved_special_token_5|>,151665"
  })
  void specialTokensHaveTheirPlaces(String token, int id) {
    assertThat(tokenizer.idOf(token)).hasValue(id);
    assertThat(tokenizer.isSpecial(id)).isTrue();
    assertThat(tokenizer.encode(token)).doesNotContain(id);
  }

  @Test
  void bytesHaveTheIdsOfQwen2() {
    assertThat(tokenizer.encode("!")).containsExactly(0);
    assertThat(tokenizer.encode("\n")).containsExactly(198);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "What is in the picture?", "Größe 42\r\n\t東京 🙂", "<unk><|im_end|>"})
  void textComesBack(String text) {
    int[] ids = tokenizer.encode(text);
    assertThat(tokenizer.decode(ids, /* skipSpecialTokens= */ false)).isEqualTo(text);
  }

  @Test
  void wordsAreFewerTokensThanBytes() {
    assertThat(tokenizer.encode("What is in the picture").length).isLessThanOrEqualTo(11);
  }

  /** What a model of random weights answers: any ids, among them parts of characters. */
  @Test
  void anyIdsStreamAsTheyDecode() {
    Random random = new Random(5);
    int[] ids =
        IntStream.range(0, 20_000)
            .map(i -> random.nextInt(i % 2 == 0 ? VOCAB_SIZE : 256))
            .toArray();
    Detokenizer detokenizer = new Detokenizer(tokenizer, /* skipSpecialTokens= */ false);
    StringBuilder text = new StringBuilder();
    Arrays.stream(ids).forEach(id -> text.append(detokenizer.append(id)));
    text.append(detokenizer.finish());
    assertThat(text.toString()).isEqualTo(tokenizer.decode(ids, /* skipSpecialTokens= */ false));
    assertThat(text.toString()).contains("\uFFFD");
  }

  @Test
  void aLargerVocabularyIsFilledUpAndASmallerOneRefused(@TempDir Path other) throws IOException {
    Tokenizer larger = write(other, 151_936);
    assertThat(IntStream.range(0, 151_936)).allMatch(larger::hasToken);
    assertThat(larger.isSpecial(151_935)).isTrue();
    assertThatThrownBy(() -> SyntheticTokenizer.write(other, VOCAB_SIZE - 1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
