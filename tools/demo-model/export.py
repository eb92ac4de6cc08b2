"""Writes weights in Hugging Face's layout: bfloat16 safetensors in two shards with an index.

    python3 export.py CHECKPOINT_DIRECTORY MODEL_DIRECTORY

copies the weights of a training checkpoint beside the model's configuration and tokenizer, after checking that they are
complete, of the right shapes and small enough.
"""

import json
import shutil
import sys
from pathlib import Path

import torch

from model import MiniCpmV, ModelConfig, read_safetensors, write_safetensors

INDEX = "model.safetensors.index.json"
SHARDS = 2
MOST_BYTES = 24_000_000


def write_weights(model: MiniCpmV, directory: Path) -> None:
    """Rounds the weights to bfloat16 and writes them."""
    tensors = {name: tensor.detach().to("cpu", torch.bfloat16) for name, tensor in model.state_dict().items()}
    total = sum(tensor.numel() * 2 for tensor in tensors.values())
    shards: list[dict[str, torch.Tensor]] = [{} for _ in range(SHARDS)]
    written = 0
    for name, tensor in sorted(tensors.items()):
        shards[written * SHARDS // total][name] = tensor
        written += tensor.numel() * 2
    names = [f"model-{number:05}-of-{SHARDS:05}.safetensors" for number in range(1, SHARDS + 1)]
    for name, shard in zip(names, shards):
        write_safetensors(directory / name, shard)
    index = {"metadata": {"total_size": total},
             "weight_map": {tensor: name for name, shard in zip(names, shards) for tensor in shard}}
    (directory / INDEX).write_text(json.dumps(index, indent=1) + "\n")


def export(checkpoint: Path, directory: Path) -> int:
    """Copies the shards and the index; returns the bytes of the weights."""
    expected = MiniCpmV(ModelConfig.read(directory / "config.json")).state_dict()
    index = json.loads((checkpoint / INDEX).read_text())
    shards = sorted(set(index["weight_map"].values()))
    shapes = {name: tensor.shape for shard in shards for name, tensor in read_safetensors(checkpoint / shard).items()}
    assert shapes == {name: tensor.shape for name, tensor in expected.items()}, "the checkpoint is of another model"
    size = sum((checkpoint / shard).stat().st_size for shard in shards)
    assert size <= MOST_BYTES, f"{size} bytes of weights are more than {MOST_BYTES}"
    for name in [*shards, INDEX]:
        shutil.copyfile(checkpoint / name, directory / name)
    return size


if __name__ == "__main__":
    print(f"{export(Path(sys.argv[1]), Path(sys.argv[2])):,} bytes of weights")
