package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.config.CheckpointConfig;
import org.tessera.model.Architectures;
import org.tessera.tensor.DType;
import org.tessera.weights.CheckpointWriter;
import org.tessera.weights.RandomWeights;
import tools.jackson.databind.JsonNode;

/** Crowds before a model of random weights, its tokenizer included, that is small otherwise. */
class CrowdBenchmarkTest {
  @TempDir Path folder;

  @Test
  void crowdsAreMeasuredInBothWays() throws IOException {
    Path checkpoint = smallShape();
    Cli.Result result =
        Cli.run(
            "bench",
            "--model",
            checkpoint.toString(),
            "--device",
            "cpu",
            "--clients",
            "1,3",
            "--picture",
            "700",
            "--tokens",
            "12",
            "--warm-up",
            "0",
            "--repetitions",
            "2",
            "--json");
    assertThat(result.status()).as(result.err()).isZero();
    JsonNode json = result.json();
    assertThat(json.get("slices").asInt()).isGreaterThan(1);
    assertThat(json.get("prompt_tokens").asInt()).isGreaterThan(64 * json.get("slices").asInt());
    assertThat(json.get("crowds")).hasSize(2);
    for (JsonNode crowd : json.get("crowds")) {
      double direct = crowd.at("/direct/requests_per_second/median").asDouble();
      double server = crowd.at("/server/requests_per_second/median").asDouble();
      assertThat(crowd.get("server_cost_percent").asDouble())
          .isEqualTo(100 * (1 - server / direct));
      for (String way : new String[] {"direct", "server"}) {
        JsonNode figures = crowd.get(way);
        assertThat(figures.get("runs").asInt()).isEqualTo(2);
        assertThat(figures.at("/first_token_ms/p50").asDouble()).isPositive();
        assertThat(figures.at("/between_tokens_ms/p99").asDouble()).isPositive();
        assertThat(figures.get("cached_tokens").asInt()).isZero();
      }
    }
  }

  @Test
  void aPictureOfTheFullShapeHasTenSlices() {
    assertThat(new BenchPicture(ModelShape.MINICPM_V_2_6.config(), 1344).slices()).isEqualTo(10);
  }

  @Test
  void whatACrowdNeedsIsAskedFor() {
    Cli.Result result = Cli.run("bench", "--clients", "4");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("--clients needs the side of each client's --picture");
    result = Cli.run("bench", "--shape", "qwen2-0.5b", "--clients", "4", "--picture", "300");
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("--clients with --shape needs --write");
  }

  /** As {@link ModelShape#write} makes them, with a decoder of one narrow layer. */
  private Path smallShape() throws IOException {
    String config = resource("qwen2-0.5b/config.json");
    for (Map.Entry<String, String> change :
        Map.of(
                "\"hidden_size\": 896", "\"hidden_size\": 128",
                "\"intermediate_size\": 4864", "\"intermediate_size\": 64",
                "\"num_hidden_layers\": 24", "\"num_hidden_layers\": 1",
                "\"num_attention_heads\": 14", "\"num_attention_heads\": 2")
            .entrySet()) {
      assertThat(config).contains(change.getKey());
      config = config.replace(change.getKey(), change.getValue());
    }
    Files.writeString(folder.resolve("config.json"), config);
    for (String file : new String[] {"preprocessor_config.json", "tokenizer_config.json"}) {
      Files.writeString(folder.resolve(file), resource(file));
    }
    CheckpointConfig read = CheckpointConfig.read(folder, Architectures.builtIn().names());
    SyntheticTokenizer.write(folder, read.model().vocabSize());
    try (RandomWeights weights = new RandomWeights(ModelShape.tensors(read), DType.BF16, 1)) {
      CheckpointWriter.write(weights, folder);
    }
    return folder;
  }

  private static String resource(String name) throws IOException {
    try (var in = ModelShape.class.getResourceAsStream("shapes/" + name)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
