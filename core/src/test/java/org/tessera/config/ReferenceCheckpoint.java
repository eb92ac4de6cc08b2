package org.tessera.config;

import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The checkpoint of the reference vectors, and changed copies of its configuration. */
public final class ReferenceCheckpoint {
  static final JsonMapper JSON = new JsonMapper();
  static final List<String> CONFIG_FILES =
      List.of(
          "config.json",
          "preprocessor_config.json",
          "tokenizer_config.json",
          "generation_config.json");

  private ReferenceCheckpoint() {}

  /** The one that is part of the project. */
  public static Path project() {
    return Path.of(System.getProperty("project.root", ".."), "conformance", "checkpoint");
  }

  /** The one in the directory that {@code conformance.dir} names, else the project's. */
  public static Path chosen() {
    String named = System.getProperty("conformance.dir", "");
    if (named.isBlank()) {
      return project();
    }
    Path checkpoint = Path.of(named, "checkpoint");
    assumeThat(checkpoint).as("checkpoint/ of the reference vectors").isDirectory();
    return checkpoint;
  }

  /** Copies the project's configuration files to {@code directory}, over what is there. */
  static void copyConfig(Path directory) throws IOException {
    for (String file : CONFIG_FILES) {
      Files.copy(
          project().resolve(file), directory.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }
  }

  /** Copies them with one JSON file changed. */
  static void copyConfig(Path directory, String file, Consumer<ObjectNode> change)
      throws IOException {
    copyConfig(directory);
    ObjectNode json = (ObjectNode) JSON.readTree(Files.readAllBytes(directory.resolve(file)));
    change.accept(json);
    Files.write(directory.resolve(file), JSON.writeValueAsBytes(json));
  }
}
