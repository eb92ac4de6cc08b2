package org.tessera.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.tessera.api.Image;
import org.tessera.config.CheckpointConfig;
import org.tessera.image.PatchGrid;
import org.tessera.image.ProcessedSlice;
import org.tessera.model.Architectures;
import org.tessera.plan.MiniCpmModules;
import org.tessera.plan.ModelSizes;
import org.tessera.tensor.Shape;

/** MiniCPM-V 2.6 in its full width, with as many layers as are asked for. */
final class FullShape {
  static final int VOCABULARY = 151_666;

  /** Features of a slice. */
  static final int QUERIES = 64;

  private static final String CONFIG =
      """
      {"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": 2.6,
       "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944,
       "num_hidden_layers": %d, "num_attention_heads": 28, "num_key_value_heads": 4,
       "vocab_size": 151666, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
       "max_position_embeddings": 32768, "tie_word_embeddings": false,
       "torch_dtype": "bfloat16", "query_num": 64, "image_size": 448, "patch_size": 14,
       "drop_vision_last_layer": false, "slice_mode": true,
       "slice_config": {"max_slice_nums": 9, "patch_size": 14},
       "vision_config": {"hidden_size": 1152, "intermediate_size": 4304,
        "num_hidden_layers": %d, "num_attention_heads": 16, "image_size": 980,
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

  private static final Map<String, String> FILES =
      Map.of("preprocessor_config.json", PREPROCESSOR, "tokenizer_config.json", "{}");

  private FullShape() {}

  /** Of a checkpoint with so many layers; the model has 28 and 27. */
  static CheckpointConfig config(int decoderLayers, int visionLayers) {
    Map<String, String> files = new LinkedHashMap<>(FILES);
    files.put("config.json", CONFIG.formatted(decoderLayers, visionLayers));
    try {
      Path folder = Files.createTempDirectory("tessera-shape");
      try {
        for (Map.Entry<String, String> file : files.entrySet()) {
          Files.writeString(folder.resolve(file.getKey()), file.getValue());
        }
        return CheckpointConfig.read(folder, Architectures.builtIn().names());
      } finally {
        for (String name : files.keySet()) {
          Files.deleteIfExists(folder.resolve(name));
        }
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A slice of 448 x 448 pixels without a picture. */
  static ProcessedSlice noise() {
    byte[] rgb = new byte[3 * 448 * 448];
    new Random(3).nextBytes(rgb);
    return new ProcessedSlice(new Image.Rgb("noise", 448, 448, rgb), new PatchGrid(32, 32));
  }

  /** Names and shapes of the tensors that a checkpoint of this configuration holds. */
  static Map<String, Shape> tensors(CheckpointConfig config) {
    return MiniCpmModules.of(ModelSizes.of(config.model())).checkpointShapes();
  }
}
