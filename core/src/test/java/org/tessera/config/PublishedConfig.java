package org.tessera.config;

import java.nio.charset.StandardCharsets;
import java.util.Set;

/** config.json of the published MiniCPM-V 2.6, with what it says and what it leaves out. */
public final class PublishedConfig {
  private static final String JSON =
      """
      {"_name_or_path": "openbmb/MiniCPM-V-2_6", "version": 2.6, "architectures": ["MiniCPMV"],
       "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
       "hidden_act": "silu", "hidden_size": 3584, "initializer_range": 0.02,
       "intermediate_size": 18944, "max_position_embeddings": 32768, "max_window_layers": 28,
       "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
       "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
       "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
       "use_sliding_window": false, "vocab_size": 151666, "batch_vision_input": true,
       "drop_vision_last_layer": false, "image_size": 448, "model_type": "minicpmv",
       "patch_size": 14, "query_num": 64, "slice_mode": true,
       "slice_config": {"max_slice_nums": 9, "patch_size": 14, "model_type": "minicpmv"},
       "vision_config": {"hidden_size": 1152, "image_size": 980, "intermediate_size": 4304,
       "model_type": "siglip", "num_attention_heads": 16, "num_hidden_layers": 27,
       "patch_size": 14}}
      """;

  private PublishedConfig() {}

  public static ModelConfig model() {
    byte[] content = JSON.getBytes(StandardCharsets.UTF_8);
    return ModelConfig.of(JsonObject.parse("config.json", content), Set.of("MiniCPMV"));
  }
}
