package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class PlanCommandTest {
  @TempDir Path directory;

  /** config.json of the full-size model and nothing beside it. */
  @BeforeEach
  void writeConfig() throws Exception {
    try (var in = ModelShape.class.getResourceAsStream("shapes/minicpm-v-2.6/config.json")) {
      Files.copy(in, directory.resolve("config.json"));
    }
  }

  @Test
  void compatGivesWhatAccelerateGives() {
    int cases = 0;
    for (JsonNode reference : Cli.vectors("device_map.json").get("cases")) {
      List<String> budgets = new ArrayList<>();
      reference
          .get("max_memory")
          .properties()
          .forEach(entry -> budgets.add(entry.getKey() + "=" + entry.getValue().asString()));
      List<String> classes = new ArrayList<>();
      reference.get("no_split_module_classes").forEach(name -> classes.add(name.asString()));

      Cli.Result result =
          Cli.run(
              "plan",
              "--model",
              directory.toString(),
              "--json",
              "--compat",
              "accelerate",
              "--dtype",
              "fp16",
              "--device-map",
              reference.get("strategy").asString(),
              "--max-memory",
              String.join(",", budgets),
              "--no-split",
              String.join(",", classes));

      assertThat(result.err()).isEmpty();
      assertThat(result.json().get("device_map")).isEqualTo(reference.get("device_map"));
      cases++;
    }
    assertThat(cases).isEqualTo(90);
  }

  @Test
  void ownPlanSaysWhereWhatAndWhy() {
    Cli.Result json =
        Cli.run(
            "plan", "--model", directory.toString(), "--max-memory", "0=24GiB,cpu=30GiB", "--json");
    assertThat(json.status()).isZero();
    assertThat(json.json().get("device_map").get("").asString()).isEqualTo("0");
    assertThat(json.json().get("per_device_bytes").get("0").asLong())
        .isGreaterThan(16_198_350_304L)
        .isLessThan(24L << 30);
    assertThat(json.json().get("reason").asString()).isNotBlank();

    Cli.Result text =
        Cli.run(
            "plan",
            "--model",
            directory.toString(),
            "--max-memory",
            "0=10GiB,1=10GiB",
            "--tensor-parallel",
            "1");
    assertThat(text.out()).contains("weights").contains("llm.model.layers.0").contains("-> 1");
  }

  /** A machine that nobody here has: the whole output, whose times are those of the model. */
  @Test
  void machinesThatOneDoesNotHaveArePlanned() {
    assertThat(shape("--gpus", "2x24GiB@1008GB/s,1x6GiB@500GB/s").out())
        .isEqualTo(
            """
            layers 0 to 27 cut over GPU 0 and GPU 1: 1.71 times as many tokens a second as the next best, one card
              0    12.2 GiB: weights 8.5 GiB, keys and values 448.0 MiB, activations 528.6 MiB, vision 2.2 GiB, runtime 512.0 MiB
              1    12.2 GiB: weights 8.5 GiB, keys and values 448.0 MiB, activations 528.6 MiB, vision 2.2 GiB, runtime 512.0 MiB
              everything -> 0,1
            predicted for a prompt of 691 tokens with a picture of 10 slices, one answer at a time:
                                            first token   a token  tokens/s
              one card                           289 ms   15.6 ms      64.0  tensor parallel over 2 has 1.71 times as many tokens a second
            * tensor parallel over 2             172 ms   9.16 ms       109  1.71 times as many tokens a second as the next best, one card
              tensor parallel over 3                  -         -         -  4 key/value heads cannot be shared evenly by 3; by 2 or 4 they can
              layers in stages                   211 ms   15.6 ms      64.0  tensor parallel over 2 has 1.71 times as many tokens a second
              2 replicas, each on one card       289 ms   15.6 ms      64.0  tensor parallel over 2 has 1.71 times as many tokens a second
            """);
  }

  @Test
  void throughputIsPlannedByBatch() {
    String[] machine = {"--gpus", "2x80GiB@3350GB/s", "--context-tokens", "700"};
    JsonNode one = shape(with(machine, "--json")).json();
    JsonNode many = shape(with(machine, "--json", "--batch", "512")).json();

    assertThat(chosen(one).get("name").asString()).isEqualTo("tensor parallel over 2");
    assertThat(chosen(many).get("name").asString()).isEqualTo("2 replicas, each on one card");
    assertThat(many.get("workload").get("batch").asInt()).isEqualTo(512);
    assertThat(many.get("deployment").get("replicas").size()).isEqualTo(2);
    assertThat(many.get("device_map").get("").asString()).isEqualTo("0,1");
    JsonNode rank = one.get("deployment").get("replicas").get(0).get("stages").get(0);
    assertThat(rank.toString())
        .isEqualTo("{\"ranks\":[\"0\",\"1\"],\"first_layer\":0,\"end_layer\":28}");
    assertThat(one.get("candidates"))
        .allSatisfy(way -> {
          assertThat(way.get("reason").asString()).isNotBlank();
          assertThat(way.has("tokens_per_second")).isEqualTo(way.get("feasible").asBoolean());
        });
  }

  @Test
  void numbersThatAreImpossibleAreRefused() {
    assertRefused(
        "tensor parallel over 8 is not possible: 4 key/value heads cannot be shared evenly by 8; by"
            + " 2 or 4 they can",
        "--gpus",
        "8x24GiB",
        "--tensor-parallel",
        "8");
    assertRefused(
        "tensor parallel over 7 is not possible: 4 key/value heads cannot be shared evenly by 7; by"
            + " 2 or 4 they can",
        "--gpus",
        "8x24GiB",
        "--tensor-parallel",
        "7");
    assertRefused(
        "3 replicas, each on one card is not possible: it takes 3 GPUs, there are 2",
        "--gpus",
        "2x24GiB",
        "--replicas",
        "3");
    assertRefused(
        "--max-memory lists GPU 2, which is not there: expected one of GPU 0, GPU 1",
        "--gpus",
        "2x24GiB",
        "--max-memory",
        "2=10GiB");
    assertRefused(
        "--gpus item \"many@\" is not valid: expected items such as 4x24GiB@1008GB/s or cpu=64GiB",
        "--gpus",
        "many@");
    assertThat(shape("--model", "x").status()).isEqualTo(2);
  }

  private static void assertRefused(String message, String... arguments) {
    Cli.Result result = shape(arguments);
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.out()).isEmpty();
    assertThat(result.err()).isEqualTo("tessera: " + message + System.lineSeparator());
  }

  private static JsonNode chosen(JsonNode plan) {
    for (JsonNode candidate : plan.get("candidates")) {
      if (candidate.get("chosen").asBoolean()) {
        return candidate;
      }
    }
    throw new AssertionError("no candidate is chosen");
  }

  private static Cli.Result shape(String... arguments) {
    return Cli.run(with(new String[] {"plan", "--shape", "minicpm-v-2.6"}, arguments));
  }

  private static String[] with(String[] arguments, String... more) {
    return Stream.concat(Arrays.stream(arguments), Arrays.stream(more)).toArray(String[]::new);
  }

  @Test
  void whatDoesNotFitIsRefused() {
    Cli.Result result =
        Cli.run("plan", "--model", directory.toString(), "--max-memory", "0=1GiB", "--json");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.out()).isEmpty();
    assertThat(result.err()).startsWith("tessera: ");
  }

  @Test
  void wrongBudgetsAreNamed() {
    Cli.Result result = Cli.run("plan", "--model", directory.toString(), "--max-memory", "0=lots");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("size \"lots\" is not valid");
  }
}
