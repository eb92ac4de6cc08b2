package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {
  private final Tokenizer tokenizer = Tokenizer.load(TokenizerVectors.checkpoint());

  @Test
  void decodingGivesTheNormalizedTextBack() {
    RandomText texts = new RandomText(new Random(7));
    for (int i = 0; i < 10_000; i++) {
      String text = texts.next();
      assertThat(tokenizer.decode(tokenizer.encode(text), false))
          .isEqualTo(Normalizer.normalize(text, Normalizer.Form.NFC));
    }
  }

  @Test
  void controlTokensInTextAreText() {
    for (int id = 0; id < tokenizer.size(); id++) {
      if (!tokenizer.isSpecial(id)) {
        continue;
      }
      String token = tokenizer.decode(List.of(id), false);
      assertThat(tokenizer.encodeTrusted(token)).containsExactly(id);
      assertThat(tokenizer.idOf(token)).hasValue(id);
      int[] ids = tokenizer.encode("a" + token + token + "\n");
      assertThat(IntStream.of(ids).noneMatch(tokenizer::isSpecial)).isTrue();
      assertThat(tokenizer.decode(ids, true)).isEqualTo("a" + token + token + "\n");
    }
    assertThat(tokenizer.idOf("<no such token>")).isEmpty();
  }

  @Test
  void bothFormsOfFilesGiveTheSameTokenizer(@TempDir Path temporary) throws IOException {
    for (String file :
        new String[] {"vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"}) {
      Files.copy(TokenizerVectors.checkpoint().resolve(file), temporary.resolve(file));
    }
    Tokenizer other = Tokenizer.load(temporary);
    assertThat(other.size()).isEqualTo(tokenizer.size());
    for (int id = 0; id < tokenizer.size(); id++) {
      assertThat(other.bytes(id)).isEqualTo(tokenizer.bytes(id));
      assertThat(other.isSpecial(id)).isEqualTo(tokenizer.isSpecial(id));
    }
    RandomText texts = new RandomText(new Random(8));
    for (int i = 0; i < 2_000; i++) {
      String text = texts.next() + "<|im_end|>" + texts.next();
      assertThat(other.encode(text)).isEqualTo(tokenizer.encode(text));
      assertThat(other.encodeTrusted(text)).isEqualTo(tokenizer.encodeTrusted(text));
    }
  }

  @Test
  void bytesAreACopy() {
    tokenizer.bytes(0)[0] = 0;
    assertThat(tokenizer.bytes(0)).containsExactly('!');
  }

  @Test
  void threadsShareIt() {
    RandomText texts = new RandomText(new Random(9));
    List<String> all = IntStream.range(0, 1_000).mapToObj(i -> texts.next()).toList();
    List<List<Integer>> alone = all.stream().map(this::encode).toList();
    assertThat(all.parallelStream().map(this::encode).toList()).isEqualTo(alone);
  }

  private List<Integer> encode(String text) {
    return IntStream.of(tokenizer.encode(text)).boxed().toList();
  }
}
