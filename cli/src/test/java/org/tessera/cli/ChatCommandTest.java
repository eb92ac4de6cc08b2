package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Answers of the reference checkpoint through the command line. */
class ChatCommandTest {
  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(
      strings = {"text_only", "image_after_text", "multi_turn", "system_prompt", "no_slice"})
  void greedyAnswersAreTheOriginals(String name) throws Exception {
    JsonNode reference = reference(name);
    List<String> command =
        new ArrayList<>(List.of("chat", "--model", Cli.CHECKPOINT, "--json", "--exif", "ignore"));
    command.addAll(List.of("--messages", messages(reference).toString(), "--temperature", "0"));
    command.addAll(List.of("--max-new-tokens", "24"));
    if (reference.get("options").has("max_slice_nums")) {
      command.addAll(
          List.of("--max-slice-nums", reference.get("options").get("max_slice_nums").asString()));
    }

    Cli.Result result = Cli.run(command.toArray(String[]::new));

    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    JsonNode json = result.json();
    assertThat(ids(json.get("token_ids"))).isEqualTo(ids(reference.get("greedy")));
    assertThat(ids(json.get("prompt_token_ids"))).isEqualTo(ids(reference.get("input_ids")));
    assertThat(json.get("usage").get("prompt_tokens").asInt())
        .isEqualTo(reference.get("input_ids").size());
    assertThat(json.get("usage").get("completion_tokens").asInt())
        .isEqualTo(json.get("token_ids").size());
    assertThat(json.get("usage").get("image_tokens").asInt())
        .isEqualTo(64 * reference.get("image_bound").size());
  }

  @Test
  void jsonIsOneObjectOfTheDocumentedForm() {
    Cli.Result result =
        Cli.run(
            "chat",
            "--model",
            Cli.CHECKPOINT,
            "--json",
            "--prompt",
            "这是什么?",
            "--device",
            "cpu",
            "--temperature",
            "0",
            "--max-new-tokens",
            "4",
            "--logprobs",
            "2",
            "--dtype",
            "fp32",
            "--context-tokens",
            "600");

    assertThat(result.status()).isZero();
    assertThat(result.out().lines()).hasSize(1);
    JsonNode json = result.json();
    assertThat(json.propertyNames())
        .containsExactly(
            "text",
            "token_ids",
            "prompt_token_ids",
            "finish_reason",
            "usage",
            "timings",
            "device_map",
            "logprobs");
    assertThat(json.get("finish_reason").asString()).isEqualTo("length");
    assertThat(json.get("usage").propertyNames())
        .containsExactly("prompt_tokens", "completion_tokens", "image_tokens");
    assertThat(json.get("timings").propertyNames())
        .containsExactly(
            "load_ms",
            "preprocess_ms",
            "vision_ms",
            "prefill_ms",
            "time_to_first_token_ms",
            "decode_tokens_per_second");
    json.get("timings").forEach(value -> assertThat(value.asDouble()).isNotNegative());
    assertThat(json.get("device_map").get("").asString()).isEqualTo("cpu");
    assertThat(json.get("logprobs")).hasSize(4);
    JsonNode first = json.get("logprobs").get(0);
    assertThat(first.get("token_id")).isEqualTo(json.get("token_ids").get(0));
    assertThat(first.get("top")).hasSize(2);
    assertThat(first.get("top").get(0).get("logprob")).isEqualTo(first.get("logprob"));
  }

  @Test
  void textIsStreamedAndTimingsAreNoted() {
    String[] question = {
      "chat",
      "--model",
      Cli.CHECKPOINT,
      "--prompt",
      "Hello",
      "--num-beams",
      "2",
      "--max-new-tokens",
      "5"
    };
    Cli.Result plain = Cli.run(question);
    assertThat(plain.status()).isZero();
    assertThat(plain.err()).contains("prompt tokens").contains("first token after");
    List<String> json = new ArrayList<>(List.of(question));
    json.add("--json");
    assertThat(plain.out().strip())
        .isEqualTo(Cli.run(json.toArray(String[]::new)).json().get("text").asString());
  }

  @Test
  void seedsMakeAnswersRepeat() {
    String[] question = {
      "chat",
      "--model",
      Cli.CHECKPOINT,
      "--prompt",
      "Hello",
      "--seed",
      "7",
      "--json",
      "--max-new-tokens",
      "8",
      "--temperature",
      "1.5"
    };
    assertThat(Cli.run(question).json().get("token_ids"))
        .isEqualTo(Cli.run(question).json().get("token_ids"));
  }

  @Test
  void promptsOverTheLimitAreRefusedOrCut() {
    String[] question = {
      "chat",
      "--model",
      Cli.CHECKPOINT,
      "--prompt",
      "word ".repeat(60),
      "--json",
      "--max-input-tokens",
      "40",
      "--max-new-tokens",
      "2"
    };
    Cli.Result refused = Cli.run(question);
    assertThat(refused.status()).isEqualTo(1);
    assertThat(refused.err()).startsWith("tessera: ").contains("40");

    List<String> cut = new ArrayList<>(List.of(question));
    cut.add("--truncate");
    assertThat(Cli.run(cut.toArray(String[]::new)).json().get("usage").get("prompt_tokens").asInt())
        .isEqualTo(40);
  }

  @Test
  void unknownDevicesAreNamed() {
    Cli.Result result =
        Cli.run("chat", "--model", Cli.CHECKPOINT, "--prompt", "x", "--device", "tpu");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("tpu").contains("cpu");
  }

  private static JsonNode reference(String name) {
    return StreamSupport.stream(Cli.vectors("chat.json").spliterator(), false)
        .filter(reference -> reference.get("name").asString().equals(name))
        .findFirst()
        .orElseThrow();
  }

  /** The case as a messages file, its pictures by paths relative to it. */
  private Path messages(JsonNode reference) throws Exception {
    JsonMapper mapper = JsonMapper.shared();
    Path file = directory.toRealPath().resolve("messages.json");
    Path images = Cli.CONFORMANCE.resolve("images").toRealPath();
    ArrayNode messages = mapper.createArrayNode();
    JsonNode system = reference.get("options").get("system_prompt");
    if (system != null) {
      messages.addObject().put("role", "system").put("content", system.asString());
    }
    for (JsonNode turn : reference.get("turns")) {
      ObjectNode message = messages.addObject().put("role", turn.get("role").asString());
      ArrayNode content = message.putArray("content");
      for (JsonNode part : turn.get("content")) {
        ObjectNode copy = content.addObject();
        if (part.has("image")) {
          Path image = images.resolve(part.get("image").asString());
          copy.put("image", file.getParent().relativize(image).toString());
        } else {
          copy.put("text", part.get("text").asString());
        }
      }
    }
    return Files.write(file, mapper.writeValueAsBytes(messages));
  }

  private static List<Integer> ids(JsonNode array) {
    List<Integer> ids = new ArrayList<>();
    array.forEach(id -> ids.add(id.asInt()));
    return ids;
  }
}
