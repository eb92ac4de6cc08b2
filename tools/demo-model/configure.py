"""Writes the demo model's config.json, preprocessor_config.json and generation_config.json beside its tokenizer.

    python3 configure.py MODEL_DIRECTORY gpu|cpu
"""

import json
import sys
from pathlib import Path

from tokenizer import Tokenizer

# The model meant for one GPU, and one small enough to be trained on a CPU: the language model's sizes, the vision
# tower's and the side of the square that one slice fills.
SIZES = {
    "gpu": ({"hidden_size": 256, "intermediate_size": 896, "num_hidden_layers": 6, "num_attention_heads": 4,
             "num_key_value_heads": 2},
            {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4}, 168),
    "cpu": ({"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 2,
             "num_key_value_heads": 2},
            {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 2}, 112)}
MAX_SLICES = 9


def configure(directory: Path, size: str) -> None:
    text, vision, scale_resolution = SIZES[size]
    tokenizer = Tokenizer(directory / "tokenizer.json")
    start, end = tokenizer.special["<|im_start|>"], tokenizer.special["<|im_end|>"]
    config = {
        "_name_or_path": "tessera-demo", "version": 2.6, "architectures": ["MiniCPMV"], "model_type": "minicpmv",
        "attention_dropout": 0.0, "bos_token_id": tokenizer.special["<|endoftext|>"], "eos_token_id": end,
        "hidden_act": "silu", "initializer_range": 0.02, **text, "max_position_embeddings": 32768,
        "max_window_layers": text["num_hidden_layers"], "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
        "sliding_window": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "transformers_version": "4.40.0", "use_cache": True, "use_sliding_window": False, "vocab_size": len(tokenizer),
        "batch_vision_input": True, "drop_vision_last_layer": False, "image_size": scale_resolution, "patch_size": 14,
        "query_num": 64, "slice_mode": True, "use_image_id": True,
        "slice_config": {"max_slice_nums": MAX_SLICES, "patch_size": 14, "scale_resolution": scale_resolution,
                         "model_type": "minicpmv"},
        "vision_config": {**vision, "image_size": 2 * scale_resolution, "model_type": "siglip", "patch_size": 14}}
    preprocessor = {
        "image_processor_type": "MiniCPMVImageProcessor",
        "auto_map": {"AutoProcessor": "processing_minicpmv.MiniCPMVProcessor",
                     "AutoImageProcessor": "image_processing_minicpmv.MiniCPMVImageProcessor"},
        "processor_class": "MiniCPMVProcessor", "max_slice_nums": MAX_SLICES, "scale_resolution": scale_resolution,
        "patch_size": 14, "use_image_id": True, "image_feature_size": 64, "im_start": "<image>", "im_end": "</image>",
        "slice_start": "<slice>", "slice_end": "</slice>", "unk": "<unk>", "im_id_start": "<image_id>",
        "im_id_end": "</image_id>", "slice_mode": True, "norm_mean": [0.5, 0.5, 0.5], "norm_std": [0.5, 0.5, 0.5],
        "version": 2.6}
    generation = {"bos_token_id": start, "do_sample": False, "eos_token_id": [end, tokenizer.special["<|endoftext|>"]],
                  "max_new_tokens": 2048}
    for name, values in (("config", config), ("preprocessor_config", preprocessor), ("generation_config", generation)):
        (directory / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    configure(Path(sys.argv[1]), sys.argv[2])
