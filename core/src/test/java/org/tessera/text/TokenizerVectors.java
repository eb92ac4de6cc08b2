package org.tessera.text;

import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.tessera.testing.ReferenceVectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Where the reference vectors lie. */
public final class TokenizerVectors {
  static final JsonMapper JSON = new JsonMapper();

  /** The row of the real vocabulary that the real checkpoint makes a special token. */
  static final int UNK = 128244;

  private TokenizerVectors() {}

  /** The project's own copy. */
  public static Path checkpoint() {
    return Path.of(System.getProperty("project.root"), "conformance", "checkpoint");
  }

  /**
   * A file of the project's copy or, with {@code -Dconformance.dir}, of another directory of that
   * form: the test is skipped where that does not have it.
   */
  public static Path conformance(String file) {
    return ReferenceVectors.path(file);
  }

  /** The real vocabulary, which is not part of the project: the test is skipped without it. */
  static Path qwen2() {
    Path directory = Path.of(System.getProperty("qwen2-tokenizer.dir", ""));
    assumeThat(directory.resolve("vocab.json"))
        .as("the real Qwen2 vocabulary, -Dqwen2-tokenizer.dir")
        .exists();
    return directory;
  }

  /**
   * Makes a directory like the real checkpoint's own, without tokenizer.json: the real vocabulary
   * and the tokenizer configuration that makes its row {@code <unk>} a special token.
   */
  public static Path qwen2Checkpoint(Path temporary) throws IOException {
    Path real = qwen2();
    for (String file : new String[] {"vocab.json", "merges.txt", "added_tokens.json"}) {
      Files.copy(real.resolve(file), temporary.resolve(file));
    }
    Files.writeString(temporary.resolve("tokenizer_config.json"), "{\"unk_token\": \"<unk>\"}");
    return temporary;
  }

  /** The real vocabulary as one file, with the steps that the conformance tokenizer.json names. */
  static String qwen2TokenizerJson() throws IOException {
    Path real = qwen2();
    ObjectNode root = (ObjectNode) read(checkpoint().resolve("tokenizer.json"));
    ObjectNode model = (ObjectNode) root.get("model");
    model.set("vocab", read(real.resolve("vocab.json")));
    ArrayNode merges = model.putArray("merges");
    Files.readAllLines(real.resolve("merges.txt")).stream()
        .filter(line -> !line.isEmpty())
        .forEach(merges::add);
    JsonNode ids = read(real.resolve("added_tokens.json"));
    for (JsonNode token : root.get("added_tokens")) {
      JsonNode id = ids.get(token.get("content").stringValue());
      ((ObjectNode) token).put("id", id == null ? UNK : id.intValue());
    }
    return JSON.writeValueAsString(root);
  }

  public static JsonNode read(Path file) throws IOException {
    return JSON.readTree(Files.readAllBytes(file));
  }

  public static int[] ids(JsonNode array) {
    int[] ids = new int[array.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = array.get(i).intValue();
    }
    return ids;
  }
}
