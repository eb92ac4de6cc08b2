package org.tessera.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.api.Image;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.device.Workspace;
import org.tessera.image.ImageDecoder;
import org.tessera.image.ImageLimits;
import org.tessera.image.ImageProcessor;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.kv.KvCache;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.parallel.Rank;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;
import org.tessera.weights.SafetensorsCheckpoint;
import org.tessera.weights.Weights;

/** Every stage of the networks against what the original model code computed in float32. */
class ModelConformanceTest {
  private static final float MAX_ABS_ERROR = 2e-3f;
  private static final int BLOCK_ROWS = 16;

  private static CheckpointConfig config;
  private static Device device;
  private static SafetensorsCheckpoint checkpoint;
  private static MiniCpmV model;
  private static ReferenceVectors.Tensors expected;

  @BeforeAll
  static void load() {
    var directory = ReferenceVectors.path("checkpoint");
    expected = ReferenceVectors.tensors("chat.safetensors");
    config = CheckpointConfig.read(directory, List.of("MiniCPMV"));
    device = Devices.probe().open("cpu");
    checkpoint = SafetensorsCheckpoint.open(directory);
    DeviceMemory region = device.allocateRegion();
    Weights weights = Weights.root(checkpoint, device, region, checkpoint.prevailingType());
    model = (MiniCpmV) new MiniCpmV26().load(config, weights, Rank.whole(device));
  }

  @AfterAll
  static void close() {
    if (device != null) {
      device.close();
    }
    if (checkpoint != null) {
      checkpoint.close();
    }
  }

  static List<ChatCase> cases() {
    return ChatCase.all();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void visionFeatures(ChatCase chat) {
    List<ProcessedSlice> slices = slices(chat);
    Assumptions.assumeFalse(slices.isEmpty(), "no picture");
    try (Workspace workspace = new Workspace(device)) {
      float[] features = device.download(encode(slices, workspace));
      String whole = chat.name() + ".vision_hidden_states";
      if (expected.has(whole)) {
        assertClose(features, expected.get(whole));
      } else {
        String head = chat.name() + ".vision_hidden_states_rows0_3";
        Assumptions.assumeTrue(expected.has(head), head + " is not among the vectors");
        assertClose(firstRows(features, slices.size(), expected.shape(head)), expected.get(head));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void visionTower(ChatCase chat) {
    String embeddings = chat.name() + ".vpm_embeddings";
    Assumptions.assumeTrue(expected.has(embeddings), embeddings + " is not among the vectors");
    ProcessedSlice slice = slices(chat).getFirst();
    List<PatchGrid> grids = List.of(slice.grid());
    try (Workspace workspace = new Workspace(device)) {
      Segments segments = model.segments(grids);
      Tensor patches = model.patches(List.of(slice), workspace);
      Tensor hidden =
          workspace.allocate(patches.rows(), config.model().visionConfig().hiddenSize());
      model.vpm().embed(patches, grids, hidden);
      assertClose(device.download(hidden), expected.get(embeddings));
      model.vpm().forward(patches, grids, segments, hidden, workspace);
      assertClose(device.download(hidden), expected.get(chat.name() + ".vpm_last_hidden_state"));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void hiddenStatesAndLogits(ChatCase chat) {
    int[] ids = ReferenceVectors.ints(chat.json().get("input_ids"));
    int layers = config.model().numHiddenLayers();
    int blocks = Math.ceilDiv(ids.length, BLOCK_ROWS);
    try (Workspace workspace = new Workspace(device);
        KvCache cache = new KvCache(device, layers, model.spec().heads(), blocks, BLOCK_ROWS)) {
      Tensor hidden = workspace.allocate(ids.length, config.model().hiddenSize());
      model.embed(workspace.upload(ids), hidden);
      splice(chat, hidden, workspace);
      if (expected.has(chat.name() + ".embeds_head")) {
        float[] head = expected.get(chat.name() + ".embeds_head");
        int headRows = head.length / hidden.columns();
        assertClose(device.download(hidden.rows(0, headRows)), head);
      }

      List<float[]> lastRows = new ArrayList<>();
      lastRows.add(device.download(hidden.rows(ids.length - 1, ids.length)));
      PagedBatch batch = batch(ids.length, blocks, workspace);
      for (int i = 0; i < layers; i++) {
        model.llm().forwardLayer(i, hidden, batch, cache, workspace);
        lastRows.add(device.download(hidden.rows(ids.length - 1, ids.length)));
      }
      if (expected.has(chat.name() + ".hidden_last")) {
        assertHiddenStates(chat, lastRows);
      }
      Assumptions.assumeTrue(expected.has(chat.name() + ".logits_last"), "no logits_last");
      Tensor logits = workspace.allocate(DType.F32, 1, config.model().vocabSize());
      model.logits(hidden.rows(ids.length - 1, ids.length), logits, workspace);
      assertClose(device.download(logits), expected.get(chat.name() + ".logits_last"));
    }
  }

  /** Transformers lists the embeddings, then each layer's output, the last one after the norm. */
  private static void assertHiddenStates(ChatCase chat, List<float[]> lastRows) {
    String name = chat.name() + ".hidden_last";
    float[] all = expected.get(name);
    int rows = expected.shape(name)[0];
    assertThat(rows).isEqualTo(lastRows.size());
    int columns = all.length / rows;
    for (int i = 0; i < rows - 1; i++) {
      float[] row = new float[columns];
      System.arraycopy(all, i * columns, row, 0, columns);
      assertClose(lastRows.get(i), row);
    }
  }

  private static void splice(ChatCase chat, Tensor hidden, Workspace workspace) {
    List<ProcessedSlice> slices = slices(chat);
    if (slices.isEmpty()) {
      return;
    }
    int[] rows = new int[slices.size() * config.model().queryNum()];
    int next = 0;
    for (var bound : chat.json().get("image_bound")) {
      for (int row = bound.get(0).asInt(); row < bound.get(1).asInt(); row++) {
        rows[next++] = row;
      }
    }
    assertThat(next).isEqualTo(rows.length);
    device.ops().scatterRows(encode(slices, workspace), workspace.upload(rows), hidden);
  }

  private static Tensor encode(List<ProcessedSlice> slices, Workspace workspace) {
    int rows = slices.size() * config.model().queryNum();
    Tensor features = workspace.allocate(rows, config.model().hiddenSize());
    model.encodeImages(slices, features, workspace);
    return features;
  }

  private static List<ProcessedSlice> slices(ChatCase chat) {
    ImageProcessor processor = ImageProcessor.of(config.preprocessor());
    int maxSliceNums =
        chat.inputOptions().maxSliceNums().orElse(config.preprocessor().maxSliceNums());
    List<ProcessedSlice> slices = new ArrayList<>();
    for (Message message : chat.messages()) {
      for (Part part : message.content()) {
        if (part instanceof Part.Picture(Image image)) {
          Image.Rgb rgb =
              ImageDecoder.decode(image, ImageLimits.defaults(), /* applyExif= */ false);
          slices.addAll(processor.process(rgb, maxSliceNums).slices());
        }
      }
    }
    return slices;
  }

  private static PagedBatch batch(int rows, int blocks, Workspace workspace) {
    int[] positions = new int[rows];
    for (int i = 0; i < rows; i++) {
      positions[i] = i;
    }
    int[] table = new int[blocks];
    for (int i = 0; i < blocks; i++) {
      table[i] = i;
    }
    return new PagedBatch(
        new Segments(workspace.upload(new int[] {0, rows}), 1, rows),
        workspace.upload(positions),
        workspace.upload(positions),
        workspace.upload(new int[] {rows}),
        workspace.upload(table),
        rows);
  }

  private static float[] firstRows(float[] features, int slices, int[] shape) {
    int columns = shape[2];
    float[] head = new float[slices * shape[1] * columns];
    for (int slice = 0; slice < slices; slice++) {
      System.arraycopy(
          features,
          slice * config.model().queryNum() * columns,
          head,
          slice * shape[1] * columns,
          shape[1] * columns);
    }
    return head;
  }

  private static void assertClose(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    float worst = 0;
    for (int i = 0; i < actual.length; i++) {
      // Math.max keeps a NaN, and no comparison with NaN holds.
      worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
    }
    assertThat(worst).isLessThan(MAX_ABS_ERROR);
  }
}
