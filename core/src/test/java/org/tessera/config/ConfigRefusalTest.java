package org.tessera.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.error.CheckpointException;
import tools.jackson.databind.node.ObjectNode;

/** Every refusal is one sentence with the file, the key, what was found and what was expected. */
class ConfigRefusalTest {
  private static final Set<String> KNOWN = Set.of("MiniCPMV");

  @TempDir Path directory;

  @ParameterizedTest
  @CsvSource({
    "config.json, architectures",
    "config.json, model_type",
    "config.json, hidden_size",
    "config.json, num_hidden_layers",
    "config.json, num_attention_heads",
    "config.json, num_key_value_heads",
    "config.json, intermediate_size",
    "config.json, vocab_size",
    "config.json, rms_norm_eps",
    "config.json, rope_theta",
    "config.json, max_position_embeddings",
    "config.json, query_num",
    "config.json, drop_vision_last_layer",
    "config.json, vision_config",
    "preprocessor_config.json, max_slice_nums",
    "preprocessor_config.json, scale_resolution",
    "preprocessor_config.json, patch_size",
    "preprocessor_config.json, use_image_id",
    "preprocessor_config.json, image_feature_size",
    "preprocessor_config.json, slice_mode",
    "preprocessor_config.json, norm_mean",
    "preprocessor_config.json, norm_std",
    "preprocessor_config.json, im_start",
    "preprocessor_config.json, im_end",
    "preprocessor_config.json, slice_start",
    "preprocessor_config.json, slice_end",
    "preprocessor_config.json, unk",
    "preprocessor_config.json, im_id_start",
    "preprocessor_config.json, im_id_end",
  })
  void namesMissingKeys(String file, String key) throws IOException {
    refuses(file, json -> json.remove(key), file + ": " + key + " is missing");
  }

  @ParameterizedTest
  @CsvSource({
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "image_size",
    "patch_size",
  })
  void namesMissingKeysOfTheVisionConfig(String key) throws IOException {
    refuses(
        "config.json",
        json -> vision(json).remove(key),
        "config.json: vision_config.%s is missing".formatted(key));
  }

  static Stream<Arguments> impossibleValues() {
    String whole = "expected a whole number from ";
    return Stream.of(
        model(
            json -> json.put("num_attention_heads", 0),
            "num_attention_heads is 0, " + whole + "1 to 4096"),
        model(
            json -> json.put("hidden_size", -512),
            "hidden_size is -512, " + whole + "1 to 1048576"),
        model(
            json -> json.put("hidden_size", 99999999999999L),
            "hidden_size is 99999999999999, " + whole + "1 to 1048576"),
        model(
            json -> json.put("hidden_size", "512"),
            "hidden_size is \"512\", " + whole + "1 to 1048576"),
        model(
            json -> json.put("hidden_size", 512.0),
            "hidden_size is 512.0, " + whole + "1 to 1048576"),
        model(
            json -> json.put("hidden_size", true),
            "hidden_size is true, " + whole + "1 to 1048576"),
        model(
            json -> json.putArray("hidden_size"),
            "hidden_size is an array, " + whole + "1 to 1048576"),
        model(
            json -> json.put("hidden_size", 510),
            "hidden_size is 510, expected a multiple of num_attention_heads, which is 4"),
        model(
            json -> json.put("hidden_size", 2),
            "hidden_size is 2, expected a multiple of num_attention_heads, which is 4"),
        model(
            json -> json.put("num_key_value_heads", 3),
            "num_key_value_heads is 3, expected a divisor of num_attention_heads, which is 4"),
        model(
            json -> json.put("num_key_value_heads", 8),
            "num_key_value_heads is 8, expected a divisor of num_attention_heads, which is 4"),
        model(
            json -> json.put("head_dim", 63),
            "head_dim is 63, expected an even width, as rotary embeddings turn pairs"),
        model(
            json -> json.put("head_dim", 1 << 20),
            "head_dim is 1048576, expected no more than 1048576 in all heads"),
        model(
            json -> json.put("rms_norm_eps", -1e-6),
            "rms_norm_eps is -1.0E-6, expected a number from 1.1754943508222875E-38 to 1.0"),
        model(
            json -> json.put("rms_norm_eps", "NaN"),
            "rms_norm_eps is \"NaN\", expected a number from 1.1754943508222875E-38 to 1.0"),
        model(
            json -> json.put("rope_theta", 0),
            "rope_theta is 0, expected a number from 1.0 to 1.0E12"),
        model(
            json -> json.put("tie_word_embeddings", 1),
            "tie_word_embeddings is 1, expected true or false"),
        model(
            json -> json.put("torch_dtype", "int8"),
            "torch_dtype is int8, expected bfloat16, float16 or float32"),
        model(json -> json.put("version", true), "version is true, expected a string or number"),
        model(json -> json.put("model_type", 7), "model_type is 7, expected a string"),
        model(json -> json.put("vision_config", 7), "vision_config is 7, expected an object"),
        model(
            json -> json.put("architectures", "MiniCPMV"),
            "architectures is \"MiniCPMV\", expected an array"),
        model(
            json -> json.putArray("architectures").add(7),
            "architectures[0] is 7, expected a string"),
        model(
            json -> vision(json).put("hidden_size", 145),
            "vision_config.hidden_size is 145, expected a multiple of num_attention_heads, which is 2"),
        model(
            json -> vision(json).put("image_size", 13),
            "vision_config.image_size is 13, expected at least one patch, and patch_size is 14"),
        model(
            json -> vision(json).put("patch_size", 16),
            "vision_config.patch_size is 16, expected patch_size, which is 14"),
        model(
            json -> slices(json).put("patch_size", 16),
            "slice_config.patch_size is 16, expected patch_size, which is 14"),
        model(
            json -> slices(json).put("max_slice_nums", 0),
            "slice_config.max_slice_nums is 0, " + whole + "1 to 1024"),
        model(
            json -> {
              vision(json).put("num_hidden_layers", 1);
              json.put("drop_vision_last_layer", true);
            },
            "drop_vision_last_layer is true, expected false, as vision_config.num_hidden_layers is 1"),
        preprocessor(
            json -> json.putArray("norm_std").add(0.5).add(0).add(0.5),
            "norm_std[1] is 0, expected a number from 0.001 to 1000.0"),
        preprocessor(
            json -> json.putArray("norm_mean").add(0.5),
            "norm_mean has 1 values, expected one for each of 3 channels"),
        preprocessor(json -> json.put("unk", ""), "unk is \"\", expected the text of a token"),
        preprocessor(
            json -> json.put("slice_mode", "yes"), "slice_mode is \"yes\", expected true or false"),
        Arguments.of(
            "tokenizer_config.json",
            change(json -> json.putObject("added_tokens_decoder").putObject("07")),
            "added_tokens_decoder.07 is not a token id, expected a whole number from 0 to 99999999"),
        Arguments.of(
            "tokenizer_config.json",
            change(json -> json.putObject("added_tokens_decoder").putObject("7")),
            "added_tokens_decoder.7.content is missing"),
        Arguments.of(
            "tokenizer_config.json",
            change(
                json -> json.putObject("added_tokens_decoder").putObject("7").put("content", "")),
            "added_tokens_decoder.7.content is \"\", expected the text of a token"),
        Arguments.of(
            "tokenizer_config.json",
            change(json -> json.put("bos_token", 7)),
            "bos_token is 7, expected an object"),
        Arguments.of(
            "generation_config.json",
            change(json -> json.put("eos_token_id", -1)),
            "eos_token_id is -1, " + whole + "0 to 16777216"));
  }

  @ParameterizedTest
  @MethodSource
  void impossibleValues(String file, Consumer<ObjectNode> change, String sentence)
      throws IOException {
    refuses(file, change, file + ": " + sentence);
  }

  static Stream<Arguments> unsupported() {
    return Stream.of(
        model(json -> json.put("hidden_act", "relu"), "hidden_act is relu, expected silu"),
        model(
            json -> vision(json).put("hidden_act", "gelu"),
            "vision_config.hidden_act is gelu, expected gelu_pytorch_tanh"),
        model(
            json -> json.putObject("rope_scaling").put("type", "linear").put("factor", 2.0),
            "rope_scaling has the type linear, but this build runs unscaled rotary embeddings only"),
        model(
            json -> json.putObject("rope_parameters").put("rope_type", "longrope"),
            "rope_parameters has the type longrope, but this build runs unscaled rotary embeddings only"),
        model(
            json -> json.putObject("rope_scaling").put("factor", 2.0),
            "rope_scaling has the type missing, but this build runs unscaled rotary embeddings only"),
        model(
            json -> json.put("use_sliding_window", true),
            "use_sliding_window is true, but this build has full attention only"),
        model(
            json -> json.putObject("quantization_config").put("load_in_4bit", true),
            "quantization_config is present, but this build reads unquantized checkpoints only"),
        model(
            json -> {
              json.putArray("architectures").add("LlamaForCausalLM");
              json.put("model_type", "llama").remove(List.of("query_num", "vision_config"));
            },
            "architectures is [LlamaForCausalLM] (model_type llama); this build knows [MiniCPMV]"),
        model(
            json -> json.putArray("architectures"),
            "architectures is [] (model_type minicpmv); this build knows [MiniCPMV]"));
  }

  @ParameterizedTest
  @MethodSource
  void unsupported(String file, Consumer<ObjectNode> change, String sentence) throws IOException {
    refuses(file, change, file + ": " + sentence);
  }

  @ParameterizedTest
  @CsvSource({
    "image_feature_size, 96, query_num, 64",
    "patch_size, 16, patch_size, 14",
    "use_image_id, false, use_image_id, true",
    "slice_mode, false, slice_mode, true",
    "max_slice_nums, 4, slice_config.max_slice_nums, 9",
  })
  void filesThatDisagree(String key, String value, String modelKey, String modelValue)
      throws IOException {
    refuses(
        "preprocessor_config.json",
        json -> json.set(key, ReferenceCheckpoint.JSON.readTree(value)),
        "config.json: %s is %s, but preprocessor_config.json: %s is %s"
            .formatted(modelKey, modelValue, key, value));
  }

  @Test
  void resolutionsThatDisagree() throws IOException {
    refuses(
        "config.json",
        json -> slices(json).put("scale_resolution", 336),
        "config.json: slice_config.scale_resolution is 336, but preprocessor_config.json: scale_resolution is 448");
  }

  @Test
  void anotherVersion() throws IOException {
    ReferenceCheckpoint.copyConfig(directory, "config.json", json -> json.put("version", "2.5"));
    ModelConfig model = CheckpointConfig.read(directory, KNOWN).model();

    assertThatThrownBy(() -> model.requireVersion("2.6"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("config.json: version is 2.5, expected 2.6");
  }

  @Test
  void noVersion() throws IOException {
    ReferenceCheckpoint.copyConfig(directory, "config.json", json -> json.remove("version"));
    ModelConfig model = CheckpointConfig.read(directory, KNOWN).model();

    assertThatThrownBy(() -> model.requireVersion("2.6"))
        .hasMessage("config.json: version is missing, expected 2.6");
  }

  static Stream<Arguments> brokenJson() {
    String wrong = "config.json is not valid JSON";
    return Stream.of(
        Arguments.of("", "config.json is not a JSON object"),
        Arguments.of("[]", "config.json is not a JSON object"),
        Arguments.of("{", wrong + " at line 1, column 2: "),
        Arguments.of("{\"a\": NaN}", wrong + " at line 1, column 10: Non-standard token 'NaN'"),
        Arguments.of(
            "{\"a\": 1,\n\"a\": 2}",
            wrong + " at line 2, column 4: Duplicate Object property \"a\""),
        Arguments.of("{} {}", wrong + " at line 1, column 4: Trailing token"),
        Arguments.of(
            "{\"a\": " + "[".repeat(100_000),
            wrong + ": Document nesting depth (33) exceeds the maximum allowed (32)"),
        Arguments.of(
            "{\"a\": " + "9".repeat(1000) + "}",
            wrong + ": Number value length (1000) exceeds the maximum allowed (100)"),
        Arguments.of("{\"" + "a".repeat(100_000) + "\": 1}", wrong + ": Name length ("),
        Arguments.of(
            "{\"a\": [" + "1,".repeat(1 << 20) + "1]}",
            wrong + ": Token count (1048577) exceeds the maximum allowed (1048576)"),
        Arguments.of(
            "{\"a\": \"" + "b".repeat(2 << 20) + "\"}", wrong + ": String value length ("));
  }

  @ParameterizedTest
  @MethodSource
  void brokenJson(String text, String beginning) throws IOException {
    ReferenceCheckpoint.copyConfig(directory);
    Files.writeString(directory.resolve("config.json"), text);

    assertThatThrownBy(() -> CheckpointConfig.read(directory, KNOWN))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith(beginning)
        .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(300).doesNotContain("\n"));
  }

  @Test
  void textThatIsNotUtf8() throws IOException {
    ReferenceCheckpoint.copyConfig(directory);
    byte[] latin1 = "{\"a\": \"é\"}".getBytes(StandardCharsets.ISO_8859_1);
    Files.write(directory.resolve("config.json"), latin1);

    assertThatThrownBy(() -> CheckpointConfig.read(directory, KNOWN))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("config.json is not valid UTF-8");
  }

  @Test
  void aHugeFile() throws IOException {
    ReferenceCheckpoint.copyConfig(directory);
    try (var file = new RandomAccessFile(directory.resolve("config.json").toFile(), "rw")) {
      file.setLength(1L << 30);
    }

    assertThatThrownBy(() -> CheckpointConfig.read(directory, KNOWN))
        .isInstanceOf(CheckpointException.class)
        .hasMessage("config.json is larger than 4194304 bytes, the most this build reads of it");
  }

  @Test
  void keysWithControlCharactersStayOnOneLine() throws IOException {
    refuses(
        "tokenizer_config.json",
        json -> json.putObject("added_tokens_decoder").put("1\n\u001b[31m", 7),
        "tokenizer_config.json: added_tokens_decoder.1\\u000a\\u001b[31m is not a token id,"
            + " expected a whole number from 0 to 99999999");
  }

  private void refuses(String file, Consumer<ObjectNode> change, String sentence)
      throws IOException {
    ReferenceCheckpoint.copyConfig(directory, file, change);

    assertThatThrownBy(() -> CheckpointConfig.read(directory, KNOWN))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(sentence);
  }

  private static Arguments model(Consumer<ObjectNode> change, String sentence) {
    return Arguments.of("config.json", change, sentence);
  }

  private static Arguments preprocessor(Consumer<ObjectNode> change, String sentence) {
    return Arguments.of("preprocessor_config.json", change, sentence);
  }

  private static Consumer<ObjectNode> change(Consumer<ObjectNode> change) {
    return change;
  }

  private static ObjectNode vision(ObjectNode json) {
    return (ObjectNode) json.get("vision_config");
  }

  private static ObjectNode slices(ObjectNode json) {
    return (ObjectNode) json.get("slice_config");
  }
}
