package org.tessera.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.tessera.error.CheckpointException;

/**
 * What lies beside the program: the model and the pictures that ship with the project.
 *
 * @param home the project's root, as the launcher gives it; empty where Java was started by hand
 */
record Installation(Optional<Path> home) {
  private static final String HOME_PROPERTY = "tessera.home";

  static Installation current() {
    return new Installation(Optional.ofNullable(System.getProperty(HOME_PROPERTY)).map(Path::of));
  }

  /** The small model that ships with the project, where it is there. */
  Optional<Path> demoModel() {
    return home.map(root -> root.resolve("demo").resolve("model"))
        .filter(model -> Files.isRegularFile(model.resolve("config.json")))
        .filter(Installation::hasWeights);
  }

  private static boolean hasWeights(Path model) {
    return Files.isRegularFile(model.resolve("model.safetensors"))
        || Files.isRegularFile(model.resolve("model.safetensors.index.json"));
  }

  /** The reference vectors that ship with the project, where they are there. */
  Optional<Path> referenceVectors() {
    return home.map(root -> root.resolve("conformance"))
        .filter(vectors -> Files.isRegularFile(vectors.resolve("chat.json")));
  }

  /** The list of pictures and questions that ships with the project, where it is there. */
  Optional<Path> demoScript() {
    return home.map(root -> root.resolve("demo").resolve("pictures").resolve("demo.json"))
        .filter(Files::isRegularFile);
  }

  /**
   * The demo model.
   *
   * @throws CheckpointException where it is not there, with what to do instead
   */
  Path requireDemoModel() {
    return demoModel()
        .orElseThrow(() ->
            new CheckpointException(
                home.isEmpty()
                    ? "the demo model is found by ./tessera only; give a checkpoint with --model"
                    : "there is no demo model in demo/model of this installation; give a checkpoint"
                        + " with --model"));
  }
}
