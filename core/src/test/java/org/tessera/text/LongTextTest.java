package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.nio.file.Path;
import java.text.Normalizer;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A million characters of one kind, on which other tokenizers hang or run out of stack. */
class LongTextTest {
  private static final int CHARACTERS = 1_000_000;

  /** Ten times what was asked for on an idle machine. */
  private static final Duration BOUND = Duration.ofSeconds(10);

  private final Tokenizer tokenizer = Tokenizer.load(TokenizerVectors.checkpoint());

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a",
        "A",
        " ",
        "\n",
        "\r\n",
        " \n",
        "\t",
        "1",
        "!",
        "'",
        "<",
        "漢",
        "🧠",
        "\u00A0",
        "e\u0301",
        "\u1100",
        "\u0301",
        "red ",
        "<|im_end|>"
      })
  void takesLinearithmicTime(String unit) {
    String text = unit.repeat(CHARACTERS / unit.length());
    String back =
        assertTimeoutPreemptively(BOUND, () -> tokenizer.decode(tokenizer.encode(text), false));
    assertThat(back.equals(Normalizer.normalize(text, Normalizer.Form.NFC))).isTrue();
  }

  @Test
  void marksInTheWrongOrderAreNotSortedByInsertion() {
    String text = "a" + "\u0301\u0323".repeat(CHARACTERS / 2);
    String back =
        assertTimeoutPreemptively(BOUND, () -> tokenizer.decode(tokenizer.encode(text), false));
    String expected =
        "\u1EA1" + "\u0323".repeat(CHARACTERS / 2 - 1) + "\u0301".repeat(CHARACTERS / 2);
    assertThat(back.equals(expected)).isTrue();
  }

  @Test
  void unpairedSurrogatesAreReplaced() {
    assertThat(tokenizer.decode(tokenizer.encode("a\uD83D b\uDE00\uD83D\uDE00\uD83D"), false))
        .isEqualTo("a\uFFFD b\uFFFD😀\uFFFD");
    String text = "\uD83D".repeat(CHARACTERS);
    int[] ids = assertTimeoutPreemptively(BOUND, () -> tokenizer.encode(text));
    assertThat(tokenizer.decode(ids, false).equals("\uFFFD".repeat(CHARACTERS))).isTrue();
  }

  @Test
  void trustedTextOfAlmostControlTokens() {
    String text = "<|im_star".repeat(CHARACTERS / 9);
    int[] ids = assertTimeoutPreemptively(BOUND, () -> tokenizer.encodeTrusted(text));
    assertThat(ids).isEqualTo(tokenizer.encode(text));
  }

  @Test
  void realVocabulary(@TempDir Path temporary) throws IOException {
    Tokenizer real = Tokenizer.load(TokenizerVectors.qwen2Checkpoint(temporary));
    for (String unit : new String[] {"a", " ", "漢", "的", "=", "\u0301"}) {
      String text = unit.repeat(CHARACTERS);
      int[] ids = assertTimeoutPreemptively(BOUND, () -> real.encode(text));
      assertThat(real.decode(ids, false).equals(text)).as(unit).isTrue();
    }
  }
}
