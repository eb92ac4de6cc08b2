package org.tessera.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.config.ReferenceCheckpoint;
import org.tessera.error.CheckpointException;
import org.tessera.plan.Deployment;
import org.tessera.plan.Deployment.Replica;
import org.tessera.plan.Deployment.Stage;
import org.tessera.plan.DeviceId;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.testing.ChatCase;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.SafetensorsWriter;
import org.tessera.weights.WeightSource.WeightInfo;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The same weights stored and configured in other ways. */
class CheckpointVariantsTest {
  private static final JsonMapper JSON = new JsonMapper();
  private static final String HEAD = "llm.lm_head.weight";
  private static final String EMBEDDINGS = "llm.model.embed_tokens.weight";
  private static final String LAST_VISION_LAYER = "vpm.encoder.layers.1.";

  /** Embeddings, each layer, the head and pictures on devices of their own. */
  private static final Deployment APART =
      new Deployment(
          List.of(
              new Replica(
                  List.of(
                      new Stage(List.of(DeviceId.CPU), 0, 0),
                      new Stage(List.of(DeviceId.CPU, DeviceId.CPU), 0, 1),
                      new Stage(List.of(DeviceId.CPU), 1, 2),
                      new Stage(List.of(DeviceId.CPU), 2, 2)),
                  List.of(DeviceId.CPU, DeviceId.CPU))));

  private static ChatCase chat;

  @TempDir Path directory;

  /** One stored tensor. */
  private record Stored(String dtype, Shape shape, byte[] bytes) {}

  @BeforeAll
  static void choose() {
    chat = ChatCase.all().stream().filter(one -> one.name().equals("no_slice")).findFirst().get();
  }

  @Test
  void oneFileOfFloat32AnswersTheSame() throws IOException {
    TreeMap<String, Stored> tensors = tensors();
    tensors.replaceAll(
        (name, stored) -> new Stored("F32", stored.shape(), widened(stored.bytes())));
    write(tensors, config -> {});

    assertThat(answer(LoadOptions.defaults())).isEqualTo(chat.ids("greedy"));
  }

  @Test
  void float16AndConvertedTypesAnswerTheSame() throws IOException {
    write(tensors(), config -> {});

    assertThat(answer(LoadOptions.defaults().withDtype(DType.F32))).isEqualTo(chat.ids("greedy"));
    assertThat(answer(LoadOptions.defaults().withDtype(DType.F16))).isEqualTo(chat.ids("greedy"));
  }

  @Test
  void tiedEmbeddingsAreTheHead() throws IOException {
    TreeMap<String, Stored> tensors = tensors();
    tensors.put(HEAD, tensors.get(EMBEDDINGS));
    write(tensors, config -> {});
    List<Integer> untied = answer(LoadOptions.defaults());
    tensors.remove(HEAD);
    write(tensors, config -> config.put("tie_word_embeddings", true));

    assertThat(answer(LoadOptions.defaults())).isEqualTo(untied).isNotEqualTo(chat.ids("greedy"));
    assertThat(answer(LoadOptions.defaults().withTensorParallel(2))).isEqualTo(untied);
    assertThat(answer(LoadOptions.defaults().withDeployment(APART))).isEqualTo(untied);
  }

  @Test
  void aDroppedVisionLayerDoesNotRunWhetherStoredOrNot() throws IOException {
    TreeMap<String, Stored> tensors = tensors();
    write(tensors, config -> config.put("drop_vision_last_layer", true));
    List<Integer> stored = answer(LoadOptions.defaults());
    tensors.keySet().removeIf(name -> name.startsWith(LAST_VISION_LAYER));
    write(tensors, config -> config.put("drop_vision_last_layer", true));

    assertThat(answer(LoadOptions.defaults())).isEqualTo(stored).isNotEqualTo(chat.ids("greedy"));
  }

  @Test
  void otherHeadCountsAreHonoured() throws IOException {
    write(
        tensors(),
        config -> {
          config.put("num_attention_heads", 8);
          config.put("num_key_value_heads", 4);
          ((ObjectNode) config.get("vision_config")).put("num_attention_heads", 4);
        });

    assertThat(answer(LoadOptions.defaults()))
        .hasSameSizeAs(chat.ids("greedy"))
        .isNotEqualTo(chat.ids("greedy"));
  }

  @Test
  void aWeightOfNoModelIsRefused() throws IOException {
    TreeMap<String, Stored> tensors = tensors();
    tensors.put("llm.model.layers.7.extra", tensors.get("llm.model.norm.weight"));
    write(tensors, config -> {});

    assertThatThrownBy(() -> answer(LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("llm.model.layers.7.extra");
    assertThatThrownBy(() -> answer(LoadOptions.defaults().withDeployment(APART)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("llm.model.layers.7.extra");
  }

  @Test
  void aWeightThatIsMissingInAnyPartIsNamed() throws IOException {
    for (String name :
        List.of(
            EMBEDDINGS,
            "llm.model.layers.1.mlp.up_proj.weight",
            "llm.model.norm.weight",
            HEAD,
            "vpm.post_layernorm.bias",
            "resampler.proj")) {
      TreeMap<String, Stored> tensors = tensors();
      tensors.remove(name);
      write(tensors, config -> {});

      assertThatThrownBy(() -> answer(LoadOptions.defaults().withDeployment(APART)))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("tensor " + name + " is missing");
    }
  }

  @Test
  void anotherVersionIsRefused() throws IOException {
    write(tensors(), config -> config.put("version", "2.5"));

    assertThatThrownBy(() -> answer(LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("2.5")
        .hasMessageContaining("2.6");
  }

  private List<Integer> answer(LoadOptions options) {
    try (Tessera tessera = Tessera.load(directory, options.withDevice("cpu"))) {
      return tessera.chat(chat.request(GenerationOptions.greedy().withMaxNewTokens(24))).tokenIds();
    }
  }

  private void write(TreeMap<String, Stored> tensors, Consumer<ObjectNode> change)
      throws IOException {
    try (var files = Files.list(ReferenceCheckpoint.project())) {
      for (Path file : files.toList()) {
        if (!file.getFileName().toString().startsWith("model")) {
          Files.write(directory.resolve(file.getFileName()), Files.readAllBytes(file));
        }
      }
    }
    Path configFile = directory.resolve("config.json");
    ObjectNode config = (ObjectNode) JSON.readTree(Files.readAllBytes(configFile));
    change.accept(config);
    Files.write(configFile, JSON.writeValueAsBytes(config));
    SafetensorsWriter writer = new SafetensorsWriter();
    tensors.forEach((name, one) -> writer.tensor(name, one.dtype(), one.shape(), one.bytes()));
    writer.write(directory.resolve("model.safetensors"));
  }

  private static TreeMap<String, Stored> tensors() {
    TreeMap<String, Stored> tensors = new TreeMap<>();
    try (SafetensorsCheckpoint checkpoint =
        SafetensorsCheckpoint.open(ReferenceCheckpoint.project())) {
      for (String name : checkpoint.names()) {
        WeightInfo info = checkpoint.info(name);
        byte[] bytes = new byte[(int) info.byteSize()];
        checkpoint.get(name).memory().asByteBuffer().get(bytes);
        tensors.put(name, new Stored(info.dtype().name(), info.shape(), bytes));
      }
    }
    return tensors;
  }

  /** bfloat16 is the upper half of float32. */
  private static byte[] widened(byte[] bf16) {
    ByteBuffer in = ByteBuffer.wrap(bf16).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer out = ByteBuffer.allocate(2 * bf16.length).order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      out.putInt(in.getShort() << 16);
    }
    return out.array();
  }
}
