package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.config.CheckpointConfig;
import org.tessera.config.ModelConfig;
import org.tessera.config.ReferenceCheckpoint;
import org.tessera.config.VisionConfig;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class SafetensorsCheckpointTest {
  @TempDir Path directory;

  @Test
  void theReferenceCheckpointHasTheTensorsOfTheArchitecture() {
    ModelConfig config =
        CheckpointConfig.read(ReferenceCheckpoint.chosen(), Set.of("MiniCPMV")).model();

    try (SafetensorsCheckpoint checkpoint =
        SafetensorsCheckpoint.open(ReferenceCheckpoint.chosen())) {
      Map<String, Shape> expected = architecture(config);
      Map<String, Shape> found = new LinkedHashMap<>();
      for (String name : checkpoint.names()) {
        found.put(name, checkpoint.info(name).shape());
      }
      // A layer that is not used may be stored all the same.
      found.keySet().removeIf(name -> isDropped(config, name) || isTied(config, name));
      assertThat(found).containsExactlyInAnyOrderEntriesOf(expected);
      for (String name : expected.keySet()) {
        assertThat(checkpoint.info(name).dtype()).isEqualTo(config.torchDtype().orElseThrow());
      }
    }
  }

  private static boolean isDropped(ModelConfig config, String name) {
    return name.startsWith("vpm.encoder.layers." + config.visionLayers() + ".");
  }

  private static boolean isTied(ModelConfig config, String name) {
    return config.tieWordEmbeddings() && name.equals("llm.lm_head.weight");
  }

  /** The published table of tensors, for any sizes. */
  static Map<String, Shape> architecture(ModelConfig c) {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    int hidden = c.hiddenSize();
    int query = c.numAttentionHeads() * c.headDim();
    int keyValue = c.numKeyValueHeads() * c.headDim();
    shapes.put("llm.model.embed_tokens.weight", Shape.of(c.vocabSize(), hidden));
    for (int i = 0; i < c.numHiddenLayers(); i++) {
      String layer = "llm.model.layers.%d.".formatted(i);
      shapes.put(layer + "input_layernorm.weight", Shape.of(hidden));
      shapes.put(layer + "post_attention_layernorm.weight", Shape.of(hidden));
      shapes.put(layer + "self_attn.o_proj.weight", Shape.of(hidden, query));
      linear(shapes, layer + "self_attn.q_proj", query, hidden);
      linear(shapes, layer + "self_attn.k_proj", keyValue, hidden);
      linear(shapes, layer + "self_attn.v_proj", keyValue, hidden);
      shapes.put(layer + "mlp.gate_proj.weight", Shape.of(c.intermediateSize(), hidden));
      shapes.put(layer + "mlp.up_proj.weight", Shape.of(c.intermediateSize(), hidden));
      shapes.put(layer + "mlp.down_proj.weight", Shape.of(hidden, c.intermediateSize()));
    }
    shapes.put("llm.model.norm.weight", Shape.of(hidden));
    if (!c.tieWordEmbeddings()) {
      shapes.put("llm.lm_head.weight", Shape.of(c.vocabSize(), hidden));
    }
    vision(shapes, c, c.visionConfig());
    resampler(shapes, c);
    return shapes;
  }

  private static void vision(Map<String, Shape> shapes, ModelConfig c, VisionConfig v) {
    int width = v.hiddenSize();
    int positions = v.patchesPerSide() * v.patchesPerSide();
    shapes.put(
        "vpm.embeddings.patch_embedding.weight",
        Shape.of(width, v.numChannels(), v.patchSize(), v.patchSize()));
    shapes.put("vpm.embeddings.patch_embedding.bias", Shape.of(width));
    shapes.put("vpm.embeddings.position_embedding.weight", Shape.of(positions, width));
    for (int i = 0; i < c.visionLayers(); i++) {
      String layer = "vpm.encoder.layers.%d.".formatted(i);
      norm(shapes, layer + "layer_norm1", width);
      norm(shapes, layer + "layer_norm2", width);
      for (String projection : new String[] {"q_proj", "k_proj", "v_proj", "out_proj"}) {
        linear(shapes, layer + "self_attn." + projection, width, width);
      }
      linear(shapes, layer + "mlp.fc1", v.intermediateSize(), width);
      linear(shapes, layer + "mlp.fc2", width, v.intermediateSize());
    }
    norm(shapes, "vpm.post_layernorm", width);
  }

  private static void resampler(Map<String, Shape> shapes, ModelConfig c) {
    int hidden = c.hiddenSize();
    shapes.put("resampler.query", Shape.of(c.queryNum(), hidden));
    shapes.put("resampler.kv_proj.weight", Shape.of(hidden, c.visionConfig().hiddenSize()));
    shapes.put("resampler.attn.in_proj_weight", Shape.of(3 * hidden, hidden));
    shapes.put("resampler.attn.in_proj_bias", Shape.of(3 * hidden));
    linear(shapes, "resampler.attn.out_proj", hidden, hidden);
    norm(shapes, "resampler.ln_q", hidden);
    norm(shapes, "resampler.ln_kv", hidden);
    norm(shapes, "resampler.ln_post", hidden);
    shapes.put("resampler.proj", Shape.of(hidden, hidden));
  }

  private static void linear(Map<String, Shape> shapes, String name, int out, int in) {
    shapes.put(name + ".weight", Shape.of(out, in));
    shapes.put(name + ".bias", Shape.of(out));
  }

  private static void norm(Map<String, Shape> shapes, String name, int width) {
    shapes.put(name + ".weight", Shape.of(width));
    shapes.put(name + ".bias", Shape.of(width));
  }

  /** An independent reading: the header as a tree, the bytes of the whole file on the heap. */
  @Test
  void everyTensorHasTheBytesThatItsShardHolds() throws IOException {
    Path source = ReferenceCheckpoint.project();
    int compared = 0;
    long bytes = 0;
    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(source)) {
      for (String shard :
          new String[] {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
        byte[] file = Files.readAllBytes(source.resolve(shard));
        int header = (file[0] & 0xff) | (file[1] & 0xff) << 8 | (file[2] & 0xff) << 16;
        JsonNode tree =
            new JsonMapper().readTree(new String(file, 8, header, StandardCharsets.UTF_8));
        for (Map.Entry<String, JsonNode> entry : tree.properties()) {
          if (entry.getKey().equals("__metadata__")) {
            continue;
          }
          int begin = 8 + header + entry.getValue().get("data_offsets").get(0).intValue();
          int end = 8 + header + entry.getValue().get("data_offsets").get(1).intValue();
          Tensor tensor = checkpoint.get(entry.getKey());
          assertThat(tensor.memory().toArray(JAVA_BYTE))
              .as(entry.getKey())
              .isEqualTo(Arrays.copyOfRange(file, begin, end));
          assertThat(checkpoint.info(entry.getKey()).file()).isEqualTo(shard);
          assertThat(checkpoint.info(entry.getKey()).byteSize()).isEqualTo(end - begin);
          compared++;
          bytes += end - begin;
        }
      }
      assertThat(checkpoint.names()).hasSize(compared);
      assertThat(checkpoint.totalBytes()).isEqualTo(bytes).isEqualTo(13_552_192);
      assertThat(checkpoint.description()).isEqualTo("model.safetensors.index.json");
    }
  }

  @Test
  void dimensionsBecomeRowsAndColumns() throws IOException {
    new SafetensorsWriter()
        .tensor("scalar", "F32", Shape.of())
        .tensor("vector", "F32", Shape.of(3))
        .tensor("matrix", "BF16", Shape.of(2, 3))
        .tensor("convolution", "F16", Shape.of(2, 3, 2, 2))
        .tensor("none", "F32", Shape.of(0, 5))
        .tensor("narrow", "F32", Shape.of(5, 0))
        .metadata("format", "pt")
        .write(directory.resolve("model.safetensors"));

    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      assertTensor(checkpoint.get("scalar"), DType.F32, 1, 1);
      assertTensor(checkpoint.get("vector"), DType.F32, 1, 3);
      assertTensor(checkpoint.get("matrix"), DType.BF16, 2, 3);
      assertTensor(checkpoint.get("convolution"), DType.F16, 2, 12);
      assertTensor(checkpoint.get("none"), DType.F32, 0, 5);
      assertTensor(checkpoint.get("narrow"), DType.F32, 5, 0);
      assertThat(checkpoint.info("convolution").shape()).isEqualTo(Shape.of(2, 3, 2, 2));
      assertThat(checkpoint.get("vector").memory().toArray(JAVA_BYTE))
          .isEqualTo(HexFormat.of().parseHex("0405060708090a0b0c0d0e0f"));
      assertThat(checkpoint.names()).hasSize(6);
      assertThat(checkpoint.has("vector")).isTrue();
      assertThat(checkpoint.has("__metadata__")).isFalse();
      assertThat(checkpoint.totalBytes()).isEqualTo(4 + 12 + 12 + 48);
      assertThat(checkpoint.description()).isEqualTo("model.safetensors");
    }
  }

  private static void assertTensor(Tensor tensor, DType dtype, int rows, int columns) {
    assertThat(tensor.dtype()).isEqualTo(dtype);
    assertThat(tensor.rows()).isEqualTo(rows);
    assertThat(tensor.columns()).isEqualTo(columns);
    assertThat(tensor.isContiguous()).isTrue();
    assertThat(tensor.memory().byteSize()).isEqualTo(tensor.byteSize());
    assertThat(tensor.memory().isReadOnly()).isTrue();
  }

  /** The header has an odd length, and so do the tensors before: nothing is aligned. */
  @Test
  void tensorsMayStartAtAnyByte() throws IOException {
    byte[] one = {0, 0, (byte) 0x80, 0x3f};
    for (int padding = 0; padding < 4; padding++) {
      new SafetensorsWriter()
          .metadata("x", " ".repeat(padding))
          .tensor("odd", "U8", Shape.of(1))
          .tensor("f32", "F32", Shape.of(1), one)
          .tensor("bf16", "BF16", Shape.of(1), Arrays.copyOfRange(one, 2, 4))
          .write(directory.resolve("model.safetensors"));
      try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
        assertThat(checkpoint.get("f32").memory().get(JAVA_FLOAT_UNALIGNED, 0)).isEqualTo(1f);
        assertThat(checkpoint.get("bf16").memory().get(JAVA_SHORT_UNALIGNED, 0))
            .isEqualTo((short) 0x3f80);
      }
    }
  }

  @Test
  void theIndexGoesBeforeASingleFileAndItsTotalSizeMayBeStale() throws IOException {
    new SafetensorsWriter()
        .tensor("a", "F32", Shape.of(2))
        .write(directory.resolve("s.safetensors"));
    Files.writeString(directory.resolve("model.safetensors"), "not looked at");
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        SafetensorsWriter.index("a", "s.safetensors"));

    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      assertThat(checkpoint.names()).containsExactly("a");
    }
  }

  @Test
  void headersMayBePaddedAndHoldKeysOfLaterVersions() throws IOException {
    String header =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"later\":{\"x\":[1]}}}   ";
    Files.write(
        directory.resolve("model.safetensors"), SafetensorsWriter.file(header, new byte[1]));

    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      assertThat(checkpoint.names()).containsExactly("a");
    }
  }

  @Test
  void memoryIsGoneWhenItIsClosed() {
    Tensor mapped;
    Tensor allocated;
    try (SafetensorsCheckpoint checkpoint =
        SafetensorsCheckpoint.open(ReferenceCheckpoint.project())) {
      mapped = checkpoint.get("resampler.query");
      allocated = checkpoint.allocate(DType.BF16, 3, 5);
      assertThat(allocated.memory().byteSize()).isEqualTo(30);
    }
    for (Tensor tensor : new Tensor[] {mapped, allocated}) {
      assertThatThrownBy(() -> tensor.memory().get(JAVA_BYTE, 0))
          .isInstanceOf(IllegalStateException.class);
    }
  }
}
