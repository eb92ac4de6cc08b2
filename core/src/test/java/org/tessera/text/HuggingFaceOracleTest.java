package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Against Hugging Face's own tokenizer, which DJL brings as a native library: skipped where that
 * does not load. It is told not to report its use and not to look for anything on the network.
 */
class HuggingFaceOracleTest {
  private static final int TEXTS = 10_000;
  private static final String[] CONTROL = {
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<image>",
    "</image>",
    "<slice>",
    "</slice>",
    "<unk>",
    "<image_id>",
    "</image_id>",
    "<|im_",
    "<imag",
    "unk>",
    "<<unk>>",
    "<ref>\u0338"
  };

  @TempDir static Path libraries;

  @BeforeAll
  static void keepOffline() {
    System.setProperty("OPT_OUT_TRACKING", "true");
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("DJL_CACHE_DIR", libraries.toString());
    System.setProperty("ENGINE_CACHE_DIR", libraries.toString());
  }

  @Test
  void conformanceTokenizer() throws IOException {
    Path checkpoint = TokenizerVectors.checkpoint();
    compare(checkpoint.resolve("tokenizer.json"), Tokenizer.load(checkpoint), 1);
  }

  @Test
  void realVocabulary(@TempDir Path temporary) throws IOException {
    TokenizerVectors.qwen2Checkpoint(temporary);
    Path json = temporary.resolve("tokenizer.json");
    Files.writeString(json, TokenizerVectors.qwen2TokenizerJson(), StandardCharsets.UTF_8);
    compare(json, Tokenizer.load(temporary), 2);
  }

  private static void compare(Path json, Tokenizer ours, int seed) throws IOException {
    Random random = new Random(seed);
    RandomText texts = new RandomText(random);
    try (HuggingFaceTokenizer theirs = open(json)) {
      for (int i = 0; i < TEXTS; i++) {
        String text = texts.next();
        int[] ids = encode(theirs, text);
        assertThat(ours.encode(text)).as(text).isEqualTo(ids);
        assertThat(ours.encodeTrusted(text)).as(text).isEqualTo(ids);
        assertThat(ours.decode(ids, false)).isEqualTo(decode(theirs, ids, false));
      }
      for (int i = 0; i < TEXTS / 5; i++) {
        StringBuilder text = new StringBuilder();
        for (int part = random.nextInt(8); part >= 0; part--) {
          text.append(texts.next()).append(CONTROL[random.nextInt(CONTROL.length)]);
        }
        int[] ids = encode(theirs, text.toString());
        assertThat(ours.encodeTrusted(text.toString())).as(text.toString()).isEqualTo(ids);
        int[] any = random.ints(random.nextInt(12), 0, ours.size()).toArray();
        for (boolean skip : new boolean[] {false, true}) {
          assertThat(ours.decode(ids, skip)).isEqualTo(decode(theirs, ids, skip));
          assertThat(ours.decode(any, skip))
              .as(Arrays.toString(any))
              .isEqualTo(decode(theirs, any, skip));
        }
      }
    }
  }

  private static HuggingFaceTokenizer open(Path json) throws IOException {
    try {
      return HuggingFaceTokenizer.newInstance(json, Map.of("truncation", "false"));
    } catch (LinkageError | EngineException | IllegalStateException e) {
      return abort("Hugging Face's native tokenizer does not load here: " + e);
    }
  }

  private static int[] encode(HuggingFaceTokenizer tokenizer, String text) {
    long[] ids = tokenizer.encode(text, false, false).getIds();
    return Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
  }

  private static String decode(HuggingFaceTokenizer tokenizer, int[] ids, boolean skip) {
    return tokenizer.decode(Arrays.stream(ids).asLongStream().toArray(), skip);
  }
}
