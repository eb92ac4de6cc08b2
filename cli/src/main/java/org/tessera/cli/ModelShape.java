package org.tessera.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.tessera.config.CheckpointConfig;
import org.tessera.error.InvalidRequestException;
import org.tessera.model.Architectures;
import org.tessera.plan.MiniCpmModules;
import org.tessera.plan.ModelSizes;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.weights.CheckpointWriter;
import org.tessera.weights.RandomWeights;

/** Shapes of models that can be measured with random weights, without a checkpoint. */
enum ModelShape {
  /** The whole model. */
  MINICPM_V_2_6("minicpm-v-2.6", true),
  /** The decoder of Qwen2-0.5B; its vision tower is there for form's sake only. */
  QWEN2_0_5B("qwen2-0.5b", false);

  private static final String RESOURCES = "shapes/";
  private static final List<String> SHARED_FILES =
      List.of("preprocessor_config.json", "tokenizer_config.json");
  private static final String CONFIG_FILE = "config.json";

  private final String label;
  private final boolean hasVision;

  ModelShape(String label, boolean hasVision) {
    this.label = label;
    this.hasVision = hasVision;
  }

  /** As the command line names it: picocli reads and shows this. */
  @Override
  public String toString() {
    return label;
  }

  /** Whether its vision tower is one worth measuring. */
  boolean hasVision() {
    return hasVision;
  }

  /** The configuration of a checkpoint of this shape. */
  CheckpointConfig config() {
    try {
      Path directory = Files.createTempDirectory("tessera-shape");
      try {
        copyConfig(directory);
        return CheckpointConfig.read(directory, Architectures.builtIn().names());
      } finally {
        Files.deleteIfExists(directory.resolve(CONFIG_FILE));
        for (String file : SHARED_FILES) {
          Files.deleteIfExists(directory.resolve(file));
        }
        Files.delete(directory);
      }
    } catch (IOException e) {
      throw new InvalidRequestException(
          "there is no room for the files of a shape in the directory for temporary files", e);
    }
  }

  /**
   * Makes a checkpoint of this shape with random weights and a tokenizer of made-up words.
   *
   * @throws InvalidRequestException where the directory is there already or cannot be written to
   */
  void write(Path directory, DType type, long seed) {
    try {
      Files.createDirectory(directory);
      copyConfig(directory);
      SyntheticTokenizer.write(directory, config().model().vocabSize());
    } catch (IOException e) {
      throw new InvalidRequestException(
          "%s cannot be made: name a directory that is not there, beside others that are"
              .formatted(directory),
          e);
    }
    try (RandomWeights weights = new RandomWeights(tensors(config()), type, seed)) {
      CheckpointWriter.write(weights, directory);
    }
  }

  private void copyConfig(Path directory) throws IOException {
    copy(RESOURCES + label + "/" + CONFIG_FILE, directory.resolve(CONFIG_FILE));
    for (String file : SHARED_FILES) {
      copy(RESOURCES + file, directory.resolve(file));
    }
  }

  /** Names and shapes of the tensors that a checkpoint of this configuration holds. */
  static Map<String, Shape> tensors(CheckpointConfig config) {
    return MiniCpmModules.of(ModelSizes.of(config.model())).checkpointShapes();
  }

  private static void copy(String resource, Path file) throws IOException {
    try (InputStream in =
        Objects.requireNonNull(ModelShape.class.getResourceAsStream(resource), resource)) {
      Files.copy(in, file);
    }
  }
}
