package org.tessera.text;

import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Where the reference vectors lie. */
final class TokenizerVectors {
  static final JsonMapper JSON = new JsonMapper();

  private TokenizerVectors() {}

  static Path conformance() {
    return Path.of(System.getProperty("project.root"), "conformance");
  }

  static Path checkpoint() {
    return conformance().resolve("checkpoint");
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
   * A directory like the real checkpoint's own: links to the real vocabulary, and the tokenizer
   * configuration that makes its row {@code <unk>} a special token.
   */
  static Path qwen2Checkpoint(Path temporary) throws IOException {
    Path real = qwen2();
    for (String file : new String[] {"vocab.json", "merges.txt", "added_tokens.json"}) {
      Files.createSymbolicLink(temporary.resolve(file), real.resolve(file).toAbsolutePath());
    }
    Files.writeString(temporary.resolve("tokenizer_config.json"), "{\"unk_token\": \"<unk>\"}");
    return temporary;
  }

  static JsonNode read(Path file) throws IOException {
    return JSON.readTree(Files.readAllBytes(file));
  }

  static int[] ids(JsonNode array) {
    int[] ids = new int[array.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = array.get(i).intValue();
    }
    return ids;
  }
}
