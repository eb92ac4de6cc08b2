package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
        Cli.run("plan", "--model", directory.toString(), "--max-memory", "0=10GiB,1=10GiB");
    assertThat(text.out()).contains("weights").contains("llm.model.layers.0").contains("-> 1");
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
