package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** What a benchmark reports, of the demo model and in the least time. */
class BenchCommandTest {
  private static final Path DEMO = Cli.PROJECT.resolve("demo/model");
  private static final String[] QUICK = {
    "bench",
    "--model",
    DEMO.toString(),
    "--device",
    "cpu",
    "--batch",
    "1,3",
    "--tokens",
    "3",
    "--prefill",
    "20",
    "--warm-up",
    "0",
    "--repetitions",
    "1",
    "--picture",
    "500",
    "--json"
  };

  @TempDir Path folder;

  @Test
  void everyFigureStandsBesideItsBound() {
    assumeTrue(
        Files.exists(DEMO.resolve("model.safetensors.index.json")),
        "the demo model has no weights in demo/model");
    Cli.Result result = Cli.run(QUICK);
    assertThat(result.status()).as(result.err()).isZero();
    JsonNode json = result.json();
    assertThat(json.get("load_weight_bytes").asLong()).isPositive();
    assertThat(json.has("load_host_memory_growth_bytes"))
        .isEqualTo(Files.exists(Path.of("/proc/self/status")));
    assertThat(json.get("product_gflops").get("median").asDouble()).isPositive();
    assertThat(json.get("decode")).hasSize(2);
    for (JsonNode decode : json.get("decode")) {
      double bound = decode.get("bound_tokens_per_second").asDouble();
      double rate = decode.get("tokens_per_second").get("median").asDouble();
      assertThat(decode.get("percent_of_memory_read").get("median").asDouble())
          .isCloseTo(100 * rate / bound, withinPercentage(0.1));
    }
    for (JsonNode timed : new JsonNode[] {json.get("prefill").get(0), json.get("vision")}) {
      assertThat(timed.get("ms").get("median").asDouble()).isPositive();
      assertThat(timed.get("bound_ms").asDouble()).isPositive();
    }
    JsonNode picture = json.get("first_token");
    assertThat(picture.get("tokens").asInt()).isGreaterThan(picture.get("slices").asInt());
    assertThat(picture.get("ms").get("median").asDouble())
        .isGreaterThan(picture.get("preparation_ms").get("median").asDouble());
  }

  @Test
  void whereTheModelRunsIsMeasuredAndSaid() {
    assumeTrue(
        Files.exists(DEMO.resolve("model.safetensors.index.json")),
        "the demo model has no weights in demo/model");
    Cli.Result cut =
        Cli.run(
            Stream.concat(Stream.of(QUICK), Stream.of("--tensor-parallel", "2"))
                .toArray(String[]::new));
    assertThat(cut.status()).as(cut.err()).isZero();
    assertThat(cut.json().get("placement").asString())
        .isEqualTo("every layer cut over 2 ranks of cpu");
    assertThat(cut.json().get("vision").get("ms").get("median").asDouble()).isPositive();
  }

  @Test
  void onlyAShapeIsWritten() {
    Cli.Result result = Cli.run("bench", "--write", folder.resolve("new").toString());
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.err()).contains("--write needs the --shape");
    result = Cli.run("bench", "--shape", "qwen2-0.5b", "--write", folder.toString());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("name a directory that is not there");
  }
}
