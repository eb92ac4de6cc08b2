package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tessera.error.PlanException;

/** A user's device map: prefixes, coverage and the file. */
class PlacementTest {
  private static final ModuleTree TREE = MiniCpmModules.of(Sizes.tiny().build());

  @Test
  void theLongestPrefixOfWholeSegmentsDecides() {
    Placement placement =
        DeviceMapFile.parse(
            """
            {"": "cpu", "llm": 0, "llm.model.layers.1": "cuda:1",
             "llm.model.layers.1.mlp.up_proj.weight": "2"}
            """,
            "map.json");

    assertThat(placement.deviceOf("vpm.post_layernorm.weight")).isEqualTo(DeviceId.CPU);
    assertThat(placement.deviceOf("llm.lm_head.weight")).isEqualTo(DeviceId.gpu(0));
    assertThat(placement.deviceOf("llmx.weight")).isEqualTo(DeviceId.CPU);
    assertThat(placement.deviceOf("llm.model.layers.1.mlp.gate_proj.weight"))
        .isEqualTo(DeviceId.gpu(1));
    assertThat(placement.deviceOf("llm.model.layers.10.mlp.gate_proj.weight"))
        .isEqualTo(DeviceId.gpu(0));
    assertThat(placement.deviceOf("llm.model.layers.1.mlp.up_proj.weight"))
        .isEqualTo(DeviceId.gpu(2));
  }

  @Test
  void whatNoPrefixCoversHasNoDevice() {
    assertThat(DeviceMapFile.parse("{\"llm\": 0}", "map.json").deviceOf("vpm.x")).isNull();
  }

  @Test
  void uncoveredParametersAreNamed() {
    Placement placement =
        DeviceMapFile.parse("{\"llm\": 0, \"resampler\": 0, \"vpm.encoder\": 0}", "map.json");

    assertThatThrownBy(() -> placement.requireCoverageOf(TREE))
        .isInstanceOf(PlanException.class)
        .hasMessage(
            "the device map gives no device to 5 of 77 parameters: vpm.embeddings.patch_embedding"
                + ".weight, vpm.embeddings.patch_embedding.bias, vpm.embeddings.position_embedding"
                + ".weight, vpm.post_layernorm.weight, vpm.post_layernorm.bias");
  }

  @Test
  void manyUncoveredParametersAreAbridged() {
    Placement placement = DeviceMapFile.parse("{\"resampler\": 0}", "map.json");

    assertThatThrownBy(() -> placement.requireCoverageOf(TREE))
        .isInstanceOf(PlanException.class)
        .hasMessageMatching("the device map gives no device to \\d+ of 77.* and \\d+ more");
  }

  @Test
  void computedBuffersNeedNoDevice() {
    Placement placement =
        DeviceMapFile.parse(
            """
            {"llm.model.embed_tokens": 0, "llm.model.layers": 0, "llm.model.norm": 0,
             "llm.lm_head": 0, "vpm": 0, "resampler.query": 0, "resampler.proj": 0,
             "resampler.kv_proj": 0, "resampler.attn": 0, "resampler.ln_q": 0,
             "resampler.ln_kv": 0, "resampler.ln_post": 0}
            """,
            "map.json");

    assertThatCode(() -> placement.requireCoverageOf(TREE)).doesNotThrowAnyException();
    assertThat(placement.merged(TREE).byPrefix()).isEqualTo(Map.of("", DeviceId.gpu(0)));
  }

  @Test
  void unknownKeysAreFound() {
    Placement placement =
        DeviceMapFile.parse(
            "{\"\": 0, \"llm.model.layers.2\": 1, \"vpm\": 0, \"lm_head\": 0}", "map.json");

    assertThat(placement.unknownKeys(TREE)).containsExactly("llm.model.layers.2", "lm_head");
  }

  @Test
  void neighboursOnOneDeviceAreMergedInOrder() {
    Placement placement =
        DeviceMapFile.parse(
            """
            {"resampler": 1, "vpm.encoder": 1, "vpm.embeddings": 1, "vpm.post_layernorm": 1,
             "llm": 0, "llm.model.layers.1.mlp": 1}
            """,
            "map.json");

    assertThat(placement.merged(TREE).byPrefix().keySet())
        .containsExactly(
            "llm.model.embed_tokens",
            "llm.model.layers.0",
            "llm.model.layers.1.self_attn",
            "llm.model.layers.1.mlp",
            "llm.model.layers.1.input_layernorm",
            "llm.model.layers.1.post_attention_layernorm",
            "llm.model.norm",
            "llm.model.rotary_emb",
            "llm.lm_head",
            "vpm",
            "resampler");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[] | map.json: expected a JSON object",
        "{} | map.json: expected a JSON object",
        "`` | map.json: expected a JSON object",
        "{\"llm\" 0} | map.json: not valid JSON",
        "{\"llm\": 0} x | map.json: not valid JSON",
        "{\"llm\": 0, \"llm\": 1} | map.json: not valid JSON",
        "{\"llm\": -1} | device \"-1\" is not known",
        "{\"llm\": 1.0} | map.json: \"llm\" has the value 1.0, expected a GPU's number",
        "{\"llm\": true} | map.json: \"llm\" has the value true",
        "{\"llm\": null} | map.json: \"llm\" has the value null",
        "{\"llm\": {\"model\": 0}} | map.json: \"llm\" has the value {\"model\":0}",
        "{\"llm\": 99999999999999999999} | device \"99999999999999999999\" is not known",
        "{\"llm\": \"tpu\"} | device \"tpu\" is not known",
        "{\"llm\": \"disk\"} | map.json: \"llm\" is mapped to disk, which is not supported",
      })
  void filesThatAreNoDeviceMapAreRefused(String json, String message) {
    assertThatThrownBy(() -> DeviceMapFile.parse(json, "map.json"))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining(message);
  }

  @Test
  void deepNestingIsRefused() {
    assertThatThrownBy(() -> DeviceMapFile.parse("[".repeat(100_000), "map.json"))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("map.json: not valid JSON");
  }

  @Test
  void theOptionNamesAStrategyADeviceOrAFile(@TempDir Path directory) throws Exception {
    Path file = Files.writeString(directory.resolve("map.json"), "{\"\": \"cuda:1\"}");

    assertThat(DeviceMapChoice.parse("balanced_low_0"))
        .isEqualTo(new DeviceMapChoice.Named(Strategy.BALANCED_LOW_0));
    assertThat(DeviceMapChoice.parse("cuda:1")).isEqualTo(DeviceMapChoice.parse(file.toString()));
    assertThat(DeviceMapChoice.parse("cpu"))
        .isEqualTo(new DeviceMapChoice.Explicit(Placement.everythingOn(DeviceId.CPU)));
  }

  @Test
  void filesThatCannotBeReadAreNamedWithoutTheirDirectory(@TempDir Path directory)
      throws Exception {
    Path large = directory.resolve("large.json");
    Files.writeString(large, " ".repeat((1 << 20) + 1), StandardCharsets.UTF_8);

    assertThatThrownBy(() -> DeviceMapChoice.parse(directory.resolve("balance").toString()))
        .isInstanceOf(PlanException.class)
        .hasMessageStartingWith("balance: no such device map can be read")
        .hasMessageNotContaining(directory.toString());
    assertThatThrownBy(() -> DeviceMapChoice.parse(large.toString()))
        .isInstanceOf(PlanException.class)
        .hasMessage("large.json: a device map of over 1 MiB is not read");
    assertThatThrownBy(() -> DeviceMapChoice.parse("a\0b"))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("neither a strategy nor a device nor the name of a file");
  }
}
