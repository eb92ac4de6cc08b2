package org.tessera.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A tokenizer for random weights: files in Qwen2's format with as many tokens as MiniCPM-V 2.6 has,
 * the special ones under its names and ids. The ordinary ones are the 256 bytes and then all two
 * and nearly all three of letters and space. So almost every token is whole characters, as in a
 * real vocabulary, and a token of an answer can be seen when it comes.
 */
final class SyntheticTokenizer {
  /** Ordinary tokens, ids from 0 on. */
  static final int ORDINARY = 151_643;

  /** An ordinary token's place, but not one that text can have. */
  static final int UNK_ID = 128_244;

  private static final String UNK = "<unk>";

  /** After the ordinary ones, in this order. */
  private static final List<String> SPECIAL =
      Stream.concat(
              Stream.of(
                  "<|endoftext|>",
                  "<|im_start|>",
                  "<|im_end|>",
                  "<image>",
                  "</image>",
                  "<ref>",
                  "</ref>",
                  "<box>",
                  "</box>",
                  "<quad>",
                  "</quad>",
                  "<point>",
                  "</point>",
                  "<slice>",
                  "</slice>",
                  "<image_id>",
                  "</image_id>"),
              IntStream.range(0, 6).mapToObj("<|reserved_special_token_%d|>"::formatted))
          .toList();

  private SyntheticTokenizer() {}

  /**
   * Writes vocab.json, merges.txt and added_tokens.json.
   *
   * @param vocabSize of the model; ids that MiniCPM-V 2.6 does not have become special tokens
   * @throws IllegalArgumentException where MiniCPM-V 2.6 has more
   */
  static void write(Path directory, int vocabSize) throws IOException {
    int named = ORDINARY + SPECIAL.size();
    if (vocabSize < named) {
      throw new IllegalArgumentException(vocabSize + " tokens of at least " + named);
    }
    ObjectNode vocab = JsonMapper.shared().createObjectNode();
    bytes().forEach(token -> vocab.put(token, vocab.size()));
    List<String> merges = new ArrayList<>();
    List<String> parts = letters();
    while (vocab.size() < ORDINARY) { // once for two letters, once for three
      List<String> merged = new ArrayList<>();
      for (String left : parts) {
        for (String right : letters()) {
          if (vocab.size() == UNK_ID) {
            vocab.put(UNK, UNK_ID);
          }
          if (vocab.size() < ORDINARY) {
            vocab.put(left + right, vocab.size());
            merges.add(left + " " + right);
            merged.add(left + right);
          }
        }
      }
      parts = merged;
    }
    ObjectNode added = JsonMapper.shared().createObjectNode();
    SPECIAL.forEach(token -> added.put(token, ORDINARY + added.size()));
    IntStream.range(named, vocabSize).forEach(id -> added.put("<|unused_" + id + "|>", id));
    Files.writeString(directory.resolve("vocab.json"), vocab.toString());
    Files.write(directory.resolve("merges.txt"), merges);
    Files.writeString(directory.resolve("added_tokens.json"), added.toString());
  }

  /** All bytes in GPT-2's alphabet, the printable ones first, as Qwen2 has them. */
  private static Stream<String> bytes() {
    return characters("!~\u00A1\u00AC\u00AE\u00FF\u0100\u0143");
  }

  /** A space, as that alphabet writes it, and the letters. */
  private static List<String> letters() {
    return characters("\u0120\u0120azAZ").toList();
  }

  /** From the first to the second, from the third to the fourth, … */
  private static Stream<String> characters(String ends) {
    return IntStream.range(0, ends.length() / 2)
        .flatMap(i -> IntStream.rangeClosed(ends.charAt(2 * i), ends.charAt(2 * i + 1)))
        .mapToObj(Character::toString);
  }
}
