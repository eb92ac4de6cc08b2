package org.tessera.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.config.TokenizerConfig.AddedToken;
import org.tessera.tensor.DType;

class CheckpointConfigTest {
  private static final Set<String> KNOWN = Set.of("MiniCPMV");

  @TempDir Path directory;

  @Test
  void readsTheChosenCheckpoint() {
    CheckpointConfig config = CheckpointConfig.read(ReferenceCheckpoint.chosen(), KNOWN);

    config.model().requireVersion("2.6");
    assertThat(config.model().queryNum()).isEqualTo(config.preprocessor().imageFeatureSize());
    assertThat(config.tokenizer().addedTokensDecoder()).isNotEmpty();
  }

  @Test
  void readsEveryValueOfTheProjectsCheckpoint() {
    CheckpointConfig config = CheckpointConfig.read(ReferenceCheckpoint.project(), KNOWN);

    assertThat(config.model())
        .isEqualTo(
            new ModelConfig(
                "minicpmv",
                List.of("MiniCPMV"),
                Optional.of("2.6"),
                512,
                2,
                4,
                2,
                128,
                640,
                664,
                "silu",
                1e-6f,
                1e6,
                32768,
                false,
                Optional.of(DType.BF16),
                64,
                448,
                14,
                false,
                true,
                true,
                new SliceConfig(9, OptionalInt.empty(), 14),
                new VisionConfig(144, 296, 2, 2, 980, 14, 3, 1e-6f, "gelu_pytorch_tanh")));
    assertThat(config.model().visionConfig().patchesPerSide()).isEqualTo(70);
    assertThat(config.model().visionConfig().headDim()).isEqualTo(72);
    assertThat(config.model().visionLayers()).isEqualTo(2);
    assertThat(config.preprocessor())
        .isEqualTo(
            new PreprocessorConfig(
                9,
                448,
                14,
                true,
                64,
                true,
                List.of(0.5f, 0.5f, 0.5f),
                List.of(0.5f, 0.5f, 0.5f),
                "<image>",
                "</image>",
                "<slice>",
                "</slice>",
                "<unk>",
                "<image_id>",
                "</image_id>",
                Optional.of("2.6")));
    assertThat(config.generation())
        .contains(
            new GenerationConfig(
                OptionalInt.of(641),
                List.of(641),
                OptionalInt.empty(),
                Optional.of(false),
                OptionalInt.of(2048),
                Optional.empty(),
                Optional.empty(),
                OptionalInt.empty(),
                Optional.empty()));
  }

  @Test
  void readsTheTokenizersSpecialTokens() {
    TokenizerConfig tokenizer =
        CheckpointConfig.read(ReferenceCheckpoint.project(), KNOWN).tokenizer();

    assertThat(tokenizer.addedTokensDecoder().keySet()).first().isEqualTo(640);
    assertThat(tokenizer.addedTokensDecoder()).hasSize(24);
    assertThat(tokenizer.addedTokensDecoder().get(644))
        .isEqualTo(new AddedToken("<image>", true, false, false, false, false));
    assertThat(tokenizer.bosToken()).contains("<|im_start|>");
    assertThat(tokenizer.eosToken()).contains("<|im_end|>");
    assertThat(tokenizer.unkToken()).contains("<unk>");
    assertThat(tokenizer.padToken()).contains("<|endoftext|>");
    assertThat(tokenizer.hasChatTemplate()).isTrue();
  }

  @Test
  void readsThePublishedConfigWithWhatItLeavesOut() {
    ModelConfig model = PublishedConfig.model();

    assertThat(model.headDim()).isEqualTo(128);
    assertThat(model.useImageId()).isTrue();
    assertThat(model.visionConfig())
        .isEqualTo(new VisionConfig(1152, 4304, 27, 16, 980, 14, 3, 1e-6f, "gelu_pytorch_tanh"));
  }

  @Test
  void assumesWhatTheOriginalAssumesForAbsentKeys() throws IOException {
    ReferenceCheckpoint.copyConfig(
        directory,
        "config.json",
        json ->
            json.remove(
                List.of(
                    "slice_config",
                    "slice_mode",
                    "use_image_id",
                    "version",
                    "image_size",
                    "patch_size",
                    "hidden_act",
                    "tie_word_embeddings",
                    "torch_dtype",
                    "use_sliding_window")));

    ModelConfig model =
        ModelConfig.of(
            JsonObject.parse("config.json", Files.readAllBytes(directory.resolve("config.json"))),
            KNOWN);

    assertThat(model.sliceConfig()).isEqualTo(new SliceConfig(1, OptionalInt.empty(), 14));
    assertThat(model.sliceMode()).isTrue();
    assertThat(model.useImageId()).isTrue();
    assertThat(model.version()).isEmpty();
    assertThat(model.imageSize()).isEqualTo(448);
    assertThat(model.patchSize()).isEqualTo(14);
    assertThat(model.tieWordEmbeddings()).isFalse();
    assertThat(model.torchDtype()).isEmpty();
  }

  @Test
  void readsWhatNewerSaversWriteDifferently() throws IOException {
    ReferenceCheckpoint.copyConfig(
        directory,
        "config.json",
        json -> {
          json.remove(List.of("rope_theta", "torch_dtype"));
          json.putObject("rope_parameters").put("rope_theta", 5e5).put("rope_type", "default");
          json.put("dtype", "float16").put("version", "2.6").put("head_dim", 64);
          json.putNull("quantization_config").putNull("rope_scaling");
        });

    ModelConfig model = CheckpointConfig.read(directory, KNOWN).model();

    assertThat(model.ropeTheta()).isEqualTo(5e5);
    assertThat(model.torchDtype()).contains(DType.F16);
    assertThat(model.version()).contains("2.6");
    assertThat(model.headDim()).isEqualTo(64);
  }

  @Test
  void dropsTheLastVisionLayer() throws IOException {
    ReferenceCheckpoint.copyConfig(
        directory, "config.json", json -> json.put("drop_vision_last_layer", true));

    ModelConfig model = CheckpointConfig.read(directory, KNOWN).model();

    assertThat(model.visionConfig().numHiddenLayers()).isEqualTo(2);
    assertThat(model.visionLayers()).isEqualTo(1);
  }

  @Test
  void generationConfigMayBeAbsent() throws IOException {
    ReferenceCheckpoint.copyConfig(directory);
    Files.delete(directory.resolve("generation_config.json"));

    assertThat(CheckpointConfig.read(directory, KNOWN).generation()).isEmpty();
  }

  @Test
  void generationConfigMayHoldSeveralTerminators() throws IOException {
    ReferenceCheckpoint.copyConfig(
        directory,
        "generation_config.json",
        json -> {
          json.putArray("eos_token_id").add(645).add(643);
          json.put("temperature", 0.7).put("top_p", 0.8).put("top_k", 100);
          json.put("repetition_penalty", 1.05).put("pad_token_id", 0);
        });

    GenerationConfig generation =
        CheckpointConfig.read(directory, KNOWN).generation().orElseThrow();

    assertThat(generation.eosTokenId()).containsExactly(645, 643);
    assertThat(generation.temperature()).contains(0.7);
    assertThat(generation.topP()).contains(0.8);
    assertThat(generation.topK()).hasValue(100);
    assertThat(generation.repetitionPenalty()).contains(1.05);
    assertThat(generation.padTokenId()).hasValue(0);
  }

  @Test
  void tokensMayBeObjectsOrAbsent() throws IOException {
    ReferenceCheckpoint.copyConfig(
        directory,
        "tokenizer_config.json",
        json -> {
          json.putObject("bos_token").put("content", "<s>").put("lstrip", false);
          json.putNull("pad_token");
          json.remove(List.of("added_tokens_decoder", "chat_template"));
        });

    TokenizerConfig tokenizer = CheckpointConfig.read(directory, KNOWN).tokenizer();

    assertThat(tokenizer.bosToken()).contains("<s>");
    assertThat(tokenizer.padToken()).isEmpty();
    assertThat(tokenizer.addedTokensDecoder()).isEmpty();
    assertThat(tokenizer.hasChatTemplate()).isFalse();
  }
}
