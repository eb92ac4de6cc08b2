package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tessera.error.InvalidRequestException;

class DetokenizerTest {
  private final Tokenizer tokenizer = Tokenizer.load(TokenizerVectors.checkpoint());

  @Test
  void piecesTogetherAreTheWholeDecodedAtOnce() {
    Random random = new Random(6);
    RandomText texts = new RandomText(random);
    for (int i = 0; i < 5_000; i++) {
      int[] ids =
          i % 2 == 0
              ? random.ints(random.nextInt(40), 0, tokenizer.size()).toArray()
              : tokenizer.encode(texts.next());
      boolean skip = random.nextBoolean();
      assertThat(decodeOneByOne(ids, skip)).isEqualTo(tokenizer.decode(ids, skip));
    }
  }

  @Test
  void charactersComeWhole() {
    Detokenizer detokenizer = new Detokenizer(tokenizer, false);
    int[] ids = tokenizer.encode("🧠");
    assertThat(ids).hasSize(4);
    assertThat(detokenizer.append(ids[0])).isEmpty();
    assertThat(detokenizer.append(ids[1])).isEmpty();
    assertThat(detokenizer.append(ids[2])).isEmpty();
    assertThat(detokenizer.append(ids[3])).isEqualTo("🧠");
    assertThat(detokenizer.finish()).isEmpty();
  }

  @Test
  void aCharacterLeftIncompleteIsReplacedOnceAtTheEnd() {
    Detokenizer detokenizer = new Detokenizer(tokenizer, false);
    int[] ids = tokenizer.encode("🧠");
    detokenizer.append(ids[0]);
    detokenizer.append(ids[1]);
    assertThat(detokenizer.append(tokenizer.encode("a")[0])).isEqualTo("\uFFFDa");
    detokenizer.append(ids[0]);
    assertThat(detokenizer.finish()).isEqualTo("\uFFFD");
    assertThat(detokenizer.finish()).isEmpty();
  }

  @Test
  void illFormedBytesAreReplacedPerMaximalPart() {
    assertThat(lossy(0xED, 0xA0, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD"); // a surrogate
    assertThat(lossy(0xE0, 0x80, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD"); // overlong
    assertThat(lossy(0xC0, 0xAF)).isEqualTo("\uFFFD\uFFFD");
    assertThat(lossy(0xF4, 0x90, 0x80, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD\uFFFD");
    assertThat(lossy(0xF0, 0x9F, 0xA7, 'a', 0xE2, 0x82)).isEqualTo("\uFFFDa\uFFFD");
    assertThat(lossy(0xFF, 0x80, 0x41)).isEqualTo("\uFFFD\uFFFDA");
  }

  @Test
  void wellFormedBytesAreTheJdks() throws Exception {
    for (int c = 0; c <= Character.MAX_CODE_POINT; c += 7) {
      if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
        byte[] bytes = Character.toString(c).getBytes(StandardCharsets.UTF_8);
        StringBuilder out = new StringBuilder();
        assertThat(Utf8.decode(bytes, bytes.length, false, out)).isEqualTo(bytes.length);
        assertThat(out.toString())
            .isEqualTo(
                StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(bytes))
                    .toString());
      }
    }
  }

  @Test
  void unknownIdsAreRefused() {
    for (int id : new int[] {-1, tokenizer.size(), Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      assertThatThrownBy(() -> new Detokenizer(tokenizer, true).append(id))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessage("no token has id %d; ids are from 0 to 663", id);
      assertThatThrownBy(() -> tokenizer.decode(new int[] {0, id}, false))
          .isInstanceOf(InvalidRequestException.class);
      assertThatThrownBy(() -> tokenizer.bytes(id)).isInstanceOf(InvalidRequestException.class);
      assertThatThrownBy(() -> tokenizer.isSpecial(id)).isInstanceOf(InvalidRequestException.class);
    }
  }

  private String decodeOneByOne(int[] ids, boolean skip) {
    Detokenizer detokenizer = new Detokenizer(tokenizer, skip);
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(detokenizer.append(id));
    }
    return text.append(detokenizer.finish()).toString();
  }

  /** Through the tokens of single bytes, whose ids are ordinary ones. */
  private String lossy(int... bytes) {
    int[] ids = new int[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      ids[i] = tokenizer.idOf(ByteAlphabet.token(bytes[i])).orElseThrow();
    }
    assertThat(decodeOneByOne(ids, false)).isEqualTo(tokenizer.decode(ids, false));
    return tokenizer.decode(ids, false);
  }
}
