package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.api.Image;
import org.tessera.config.CheckpointConfig;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.Devices;
import org.tessera.engine.EngineOptions;
import org.tessera.engine.RankRunner;
import org.tessera.engine.StepInput;
import org.tessera.engine.StepInput.Splice;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.Architectures;
import org.tessera.parallel.Rank;
import org.tessera.plan.MiniCpmModules;
import org.tessera.plan.ModelSizes;
import org.tessera.plan.ModuleTree;
import org.tessera.tensor.DType;
import org.tessera.tensor.Shape;
import org.tessera.weights.RandomWeights;
import org.tessera.weights.WeightSource;
import org.tessera.weights.Weights;

/**
 * MiniCPM-V 2.6 in its full width, with two layers of the tower and two of the decoder so that the
 * processor is done in seconds, and random weights: a picture, a prompt and the tokens after it.
 */
class FullShapeGpuIT {
  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  private static final int LAYERS = 2;
  private static final int PLACEHOLDERS = 64;
  private static final int PICTURE_ROW = 3;
  private static final int PROMPT = 77;
  private static final int KV_TOKENS = 256;

  /** Steps of decoding: the first runs, the second is recorded, the others are the record. */
  private static final int NEW_TOKENS = 4;

  private static final double LARGEST_ERROR = 2e-2;
  private static final double CLEAR_MARGIN = 10;

  private static final String CONFIG =
      """
      {"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": 2.6,
       "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944,
       "num_hidden_layers": %1$d, "num_attention_heads": 28, "num_key_value_heads": 4,
       "vocab_size": 151666, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
       "max_position_embeddings": 32768, "tie_word_embeddings": false,
       "torch_dtype": "bfloat16", "query_num": 64, "image_size": 448, "patch_size": 14,
       "drop_vision_last_layer": false, "slice_mode": true,
       "slice_config": {"max_slice_nums": 9, "patch_size": 14},
       "vision_config": {"hidden_size": 1152, "intermediate_size": 4304,
        "num_hidden_layers": %1$d, "num_attention_heads": 16, "image_size": 980,
        "patch_size": 14, "num_channels": 3, "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-06}}
      """;

  private static final String PREPROCESSOR =
      """
      {"max_slice_nums": 9, "scale_resolution": 448, "patch_size": 14, "use_image_id": true,
       "image_feature_size": 64, "im_start": "<image>", "im_end": "</image>",
       "slice_start": "<slice>", "slice_end": "</slice>", "unk": "<unk>",
       "im_id_start": "<image_id>", "im_id_end": "</image_id>", "slice_mode": true,
       "norm_mean": [0.5, 0.5, 0.5], "norm_std": [0.5, 0.5, 0.5], "version": 2.6}
      """;

  @TempDir Path folder;

  @Test
  void agreesWithTheProcessor(TestReporter reporter) throws IOException {
    Files.writeString(folder.resolve("config.json"), CONFIG.formatted(LAYERS));
    Files.writeString(folder.resolve("preprocessor_config.json"), PREPROCESSOR);
    Files.writeString(folder.resolve("tokenizer_config.json"), "{}");
    CheckpointConfig config = CheckpointConfig.read(folder, Architectures.builtIn().names());
    int[] tokens = new Random(7).ints(PROMPT + NEW_TOKENS, 1, 151_666).toArray();
    float[][] expected;
    float[][] found;
    try (WeightSource weights = new RandomWeights(tensors(config), DType.BF16, 20_260_101)) {
      try (Device cpu = Devices.probe().open("cpu")) {
        expected = logits(config, weights, cpu, tokens);
      }
      found = logits(config, weights, GPU.device(), tokens);
    }
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      double error = check(i, expected[i], found[i]);
      largest = Math.max(largest, error);
    }
    reporter.publishEntry("largest relative error of logits", "%.2e".formatted(largest));
  }

  private static Map<String, Shape> tensors(CheckpointConfig config) {
    ModuleTree tree = MiniCpmModules.of(ModelSizes.of(config.model()));
    Map<String, Shape> shapes = new LinkedHashMap<>();
    tree.parameters()
        .forEach((name, tensor) -> {
          if (tree.owner(name).equals(name)) {
            shapes.put(name, tensor.shape());
          }
        });
    return shapes;
  }

  /** Logits of all positions of the prompt behind the picture, then of each token after it. */
  private static float[][] logits(
      CheckpointConfig config, WeightSource weights, Device device, int[] tokens) {
    byte[] rgb = new byte[3 * 448 * 448];
    new Random(3).nextBytes(rgb);
    ProcessedSlice slice =
        new ProcessedSlice(new Image.Rgb("noise", 448, 448, rgb), new PatchGrid(32, 32));
    try (DeviceMemory region = device.allocateRegion()) {
      Weights root = Weights.root(weights, device, region, DType.BF16);
      EngineOptions options = EngineOptions.forTokens(KV_TOKENS, device);
      try (RankRunner runner =
          new RankRunner(
              Architectures.builtIn()
                  .find(config.model().architectures())
                  .load(config, root, Rank.whole(device)),
              device,
              options)) {
        runner.encodeImages(1, List.of(slice), 0, PLACEHOLDERS);
        int behind = PICTURE_ROW + PLACEHOLDERS;
        float[][] all = new float[PROMPT - behind + NEW_TOKENS][];
        float[][] ofPrompt =
            runner
                .run(
                    step(
                        tokens,
                        0,
                        PROMPT,
                        options,
                        List.of(new Splice(1, 0, PICTURE_ROW, PLACEHOLDERS)),
                        IntStream.range(behind, PROMPT).toArray()))
                .logits();
        System.arraycopy(ofPrompt, 0, all, 0, ofPrompt.length);
        for (int i = 0; i < NEW_TOKENS; i++) {
          StepInput next =
              step(tokens, PROMPT + i, PROMPT + i + 1, options, List.of(), new int[] {0});
          all[ofPrompt.length + i] = runner.run(next).logits()[0];
        }
        return all;
      }
    }
  }

  /** Positions {@code from} to {@code to} of the only sequence, whose blocks are in order. */
  private static StepInput step(
      int[] tokens, int from, int to, EngineOptions options, List<Splice> splices, int[] wanted) {
    int[] positions = IntStream.range(from, to).toArray();
    return new StepInput(
        IntStream.range(from, to).map(i -> tokens[i]).toArray(),
        positions,
        positions,
        new int[] {0, to - from},
        new int[] {to},
        new int[][] {IntStream.range(0, Math.ceilDiv(to, options.kvBlockRows())).toArray()},
        splices,
        wanted,
        new int[0],
        List.of());
  }

  private static double check(int row, float[] expected, float[] found) {
    double distance = 0;
    double norm = 0;
    double largest = 0;
    int likeliest = 0;
    int foundLikeliest = 0;
    for (int i = 0; i < expected.length; i++) {
      assertThat(found[i]).as("row %d, logit %d", row, i).isFinite();
      double error = found[i] - expected[i];
      distance += error * error;
      norm += (double) expected[i] * expected[i];
      largest = Math.max(largest, Math.abs(error));
      likeliest = expected[i] > expected[likeliest] ? i : likeliest;
      foundLikeliest = found[i] > found[foundLikeliest] ? i : foundLikeliest;
    }
    double relative = Math.sqrt(distance / norm);
    assertThat(relative).as("row %d: relative error", row).isLessThan(LARGEST_ERROR);
    if (foundLikeliest != likeliest) {
      assertThat((double) expected[likeliest] - expected[foundLikeliest])
          .as("row %d: margin of %d over %d", row, likeliest, foundLikeliest)
          .isLessThanOrEqualTo(CLEAR_MARGIN * largest);
    }
    return relative;
  }
}
