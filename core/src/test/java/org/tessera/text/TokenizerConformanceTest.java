package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Against ids and texts that Hugging Face's tokenizer gave. */
class TokenizerConformanceTest {
  @Test
  void encodesAndDecodesAsTheOriginal() throws IOException {
    Tokenizer tokenizer = Tokenizer.load(TokenizerVectors.checkpoint());
    JsonNode cases =
        TokenizerVectors.read(TokenizerVectors.conformance().resolve("tokenizer_cases.json"));
    assertThat(cases).isNotEmpty();
    for (JsonNode c : cases) {
      String text = c.get("text").stringValue();
      int[] ids = TokenizerVectors.ids(c.get("ids"));
      assertThat(tokenizer.encodeTrusted(text)).as(text).isEqualTo(ids);
      assertThat(tokenizer.decode(ids, false)).isEqualTo(c.get("decoded").stringValue());
      assertThat(tokenizer.decode(ids, true))
          .isEqualTo(c.get("decoded_skip_special").stringValue());
    }
  }

  @Test
  void encodesAndDecodesTheRealVocabulary(@TempDir Path temporary) throws IOException {
    Tokenizer tokenizer = Tokenizer.load(TokenizerVectors.qwen2Checkpoint(temporary));
    JsonNode cases = TokenizerVectors.read(TokenizerVectors.qwen2().resolve("expected.json"));
    assertThat(cases).hasSize(20);
    for (JsonNode c : cases) {
      String text = c.get("text").stringValue();
      int[] ids = TokenizerVectors.ids(c.get("ids"));
      assertThat(tokenizer.encodeTrusted(text)).as(text).isEqualTo(ids);
      assertThat(tokenizer.decode(ids, false)).isEqualTo(c.get("decoded").stringValue());
    }
    assertThat(tokenizer.size()).isEqualTo(151666);
    assertThat(tokenizer.idOf("<unk>")).hasValue(128244);
    assertThat(tokenizer.isSpecial(128244)).isTrue();
    assertThat(tokenizer.encode("Hello!")).containsExactly(9707, 0);
    assertThat(tokenizer.encode("What is in the image?"))
        .containsExactly(3838, 374, 304, 279, 2168, 30);
  }
}
