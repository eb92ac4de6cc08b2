"""MiniCPM-V 2.6 in plain PyTorch, in the checkpoint's own names: a SigLIP NaViT tower, a resampler, a Qwen2 decoder."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_GRID = 512  # patches on one axis that the position tables cover

@dataclass(frozen=True)
class ModelConfig:
    """The sizes that config.json gives."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    rope_theta: float
    rms_norm_eps: float
    query_num: int
    patch_size: int
    vision_hidden_size: int
    vision_intermediate_size: int
    vision_num_hidden_layers: int
    vision_num_attention_heads: int
    vision_image_size: int

    @staticmethod
    def read(path: Path) -> "ModelConfig":
        values = json.loads(path.read_text())
        values |= {f"vision_{name}": value for name, value in values["vision_config"].items()}
        return ModelConfig(**{name: values[name] for name in ModelConfig.__dataclass_fields__})


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, length, heads * width] to [batch, heads, length, width]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[batch, heads, length, width] to [batch, length, heads * width]."""
    return x.transpose(1, 2).flatten(2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """Attention over [batch, heads, length, width]; the mask is true where a key may be seen. On CPUs plain products
    train faster than the fused kernel."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ v


# The vision tower


def position_buckets(side: int) -> Tensor:
    """[MAX_GRID + 1, MAX_GRID]: row n holds the bucket, below `side`, of each of n patches on one axis.

    The original computes fractional coordinates with a float32 torch.arange, eight at a time. That order of rounding
    is repeated here, because it decides in which bucket some coordinates fall.
    """
    boundaries = np.float32(1 / side + np.arange(side - 1) * (1 / side))
    table = np.zeros((MAX_GRID + 1, MAX_GRID), dtype=np.int64)
    for count in range(1, MAX_GRID + 1):
        step = float(np.float32(1) / np.float32(count))
        k = np.arange(count)
        block_start = np.float32(step * 8 * (k // 8)).astype(np.float64)
        in_block = np.float32(block_start + step * (k % 8))
        values = np.where(k < count // 8 * 8, in_block, np.float32(step * k))
        table[count, :count] = np.searchsorted(boundaries, values, side="right")
    return torch.from_numpy(table)


@dataclass
class PatchGrid:
    """Where the patches of a padded batch of slices lie. Tensors of shape [slices, length]."""

    row: Tensor
    column: Tensor
    valid: Tensor
    sizes: Tensor  # [slices, 2]: rows, columns

    @staticmethod
    def of(sizes: Tensor, length: int) -> "PatchGrid":
        index = torch.arange(length, device=sizes.device)[None]
        valid = index < sizes.prod(1, keepdim=True)
        index = index * valid
        return PatchGrid(index // sizes[:, 1:], index % sizes[:, 1:], valid, sizes)

    def attention_mask(self) -> Tensor:
        """[slices, 1, 1, length], true where a key may be seen."""
        return self.valid[:, None, None, :]


class VisionAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (split_heads(project(x), self.heads) for project in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(merge_heads(attend(q, k, v, mask)))


class VisionMlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class VisionLayer(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.vision_hidden_size
        self.self_attn = VisionAttention(width, config.vision_num_attention_heads)
        self.layer_norm1 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = VisionMlp(width, config.vision_intermediate_size)
        self.layer_norm2 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class VisionEmbeddings(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.side = config.vision_image_size // config.patch_size
        self.patch_embedding = nn.Conv2d(3, config.vision_hidden_size, config.patch_size, config.patch_size)
        self.position_embedding = nn.Embedding(self.side * self.side, config.vision_hidden_size)
        self.register_buffer("buckets", position_buckets(self.side), persistent=False)

    def forward(self, patches: Tensor, grid: PatchGrid) -> Tensor:
        """patches [slices, length, 3 * patch * patch], normalised. The convolution is a product per patch."""
        x = F.linear(patches, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)
        row = self.buckets[grid.sizes[:, :1], grid.row]
        column = self.buckets[grid.sizes[:, 1:], grid.column]
        return x + self.position_embedding(row * self.side + column)


class VisionEncoder(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(config) for _ in range(config.vision_num_hidden_layers))


class VisionTower(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embeddings = VisionEmbeddings(config)
        self.encoder = VisionEncoder(config)
        self.post_layernorm = nn.LayerNorm(config.vision_hidden_size, eps=1e-6)

    def forward(self, patches: Tensor, grid: PatchGrid) -> Tensor:
        """[slices, length, 3 * patch * patch] to [slices, length, vision width]."""
        x = self.embeddings(patches, grid)
        mask = grid.attention_mask()
        for layer in self.encoder.layers:
            x = layer(x, mask)
        return self.post_layernorm(x)


# The resampler


def sincos_table(width: int) -> Tensor:
    """[MAX_GRID, width]: sines, then cosines, of a coordinate times width / 2 frequencies, all in float32."""
    frequencies = 1.0 / 10000 ** (torch.arange(width // 2, dtype=torch.float32) / (width / 2))
    angles = torch.arange(MAX_GRID, dtype=torch.float32)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResamplerAttention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.heads = width // 128
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (split_heads(F.linear(x, weight, bias), self.heads)
                   for x, weight, bias in zip((query, key, value), weights, biases))
        return self.out_proj(merge_heads(attend(q, k, v, mask)))


class Resampler(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.hidden_size
        self.query = nn.Parameter(torch.empty(config.query_num, width))
        self.kv_proj = nn.Linear(config.vision_hidden_size, width, bias=False)
        self.attn = ResamplerAttention(width)
        self.ln_q = nn.LayerNorm(width, eps=1e-6)
        self.ln_kv = nn.LayerNorm(width, eps=1e-6)
        self.ln_post = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Parameter(torch.empty(width, width))
        self.register_buffer("axis_table", sincos_table(width // 2), persistent=False)

    def forward(self, x: Tensor, grid: PatchGrid) -> Tensor:
        """[slices, length, vision width] to [slices, queries, width]."""
        x = self.ln_kv(self.kv_proj(x))
        position = torch.cat([self.axis_table[grid.column], self.axis_table[grid.row]], dim=-1)
        query = self.ln_q(self.query)[None].expand(len(x), -1, -1)
        return self.ln_post(self.attn(query, x + position, x, grid.attention_mask())) @ self.proj


# The decoder


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class KvCache:
    """Keys and values of one layer so far, [batch, key/value heads, length, head width]."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values


class DecoderAttention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        width = config.hidden_size // self.heads
        self.q_proj = nn.Linear(config.hidden_size, self.heads * width)
        self.k_proj = nn.Linear(config.hidden_size, self.kv_heads * width)
        self.v_proj = nn.Linear(config.hidden_size, self.kv_heads * width)
        self.o_proj = nn.Linear(self.heads * width, config.hidden_size, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KvCache | None) -> Tensor:
        q = rotate(split_heads(self.q_proj(x), self.heads), rope)
        k = rotate(split_heads(self.k_proj(x), self.kv_heads), rope)
        v = split_heads(self.v_proj(x), self.kv_heads)
        if cache is not None:
            k, v = cache.append(k, v)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, 1) for t in (k, v))
        return self.o_proj(merge_heads(attend(q, k, v, causal=q.shape[2] > 1)))


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary embedding over the two halves of the head width; cosines and sines are [length, head width]."""
    cos, sin = rope
    low, high = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-high, low], dim=-1) * sin.to(x.dtype)


class DecoderMlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.self_attn = DecoderAttention(config)
        self.mlp = DecoderMlp(config.hidden_size, config.intermediate_size)
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KvCache | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.theta = config.rope_theta
        self.head_width = config.hidden_size // config.num_attention_heads

    def rope(self, start: int, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        exponents = torch.arange(0, self.head_width, 2, dtype=torch.float32, device=device) / self.head_width
        positions = torch.arange(start, start + length, dtype=torch.float32, device=device)
        angles = positions[:, None] / self.theta ** exponents
        return torch.cat([angles, angles], 1).cos(), torch.cat([angles, angles], 1).sin()

    def forward(self, x: Tensor, caches: list[KvCache] | None = None, start: int = 0) -> Tensor:
        """Embeddings [batch, length, width] at positions from `start` to the normalised last hidden states."""
        rope = self.rope(start, x.shape[1], x.device)
        for number, layer in enumerate(self.layers):
            x = layer(x, rope, caches[number] if caches is not None else None)
        return self.norm(x)


class CausalLm(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)


# The whole model


class MiniCpmV(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.llm = CausalLm(config)
        self.vpm = VisionTower(config)
        self.resampler = Resampler(config)

    def see(self, patches: Tensor, sizes: Tensor, length: int) -> tuple[Tensor, PatchGrid]:
        """uint8 patches of all slices one after another, [total, 3 * patch * patch], with their grids [slices, 2]
        (rows, columns), to the tower's [slices, length, vision width]. Slices are padded to `length` patches."""
        counts = sizes.prod(1)
        starts = counts.cumsum(0) - counts
        offsets = torch.arange(length, device=sizes.device)[None].minimum(counts[:, None] - 1)
        padded = patches[starts[:, None] + offsets]
        grid = PatchGrid.of(sizes, length)
        return self.vpm((padded.float() / 255 - 0.5) / 0.5, grid), grid

    def encode_slices(self, patches: Tensor, sizes: Tensor, length: int) -> Tensor:
        """The same to the resampler's [slices, queries, width]."""
        return self.resampler(*self.see(patches, sizes, length))

    def embed(self, ids: Tensor, visual: Tensor | None, places: Tensor) -> Tensor:
        """Token embeddings [batch, length, width] with visual rows [slices, queries, width] written over the
        flat positions `places` [slices * queries]."""
        x = self.llm.model.embed_tokens(ids)
        if visual is None:
            return x
        flat = x.flatten(0, 1).index_copy(0, places, visual.flatten(0, 1).to(x.dtype))
        return flat.view_as(x)


# Safetensors: read and write bfloat16 and float32 tensors


def read_safetensors(path: Path) -> dict[str, Tensor]:
    data = bytearray(path.read_bytes())
    header_size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + header_size])
    types = {"BF16": torch.bfloat16, "F32": torch.float32}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            dtype = types[entry["dtype"]]
            raw = torch.frombuffer(data, dtype=torch.uint8, offset=8 + header_size + begin, count=end - begin)
            tensors[name] = raw.clone().view(dtype).reshape(entry["shape"])
    return tensors


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes bfloat16 tensors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 2
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().view(torch.int16).numpy().tobytes())


def load_model(directory: Path, device: str = "cpu") -> MiniCpmV:
    """The checkpoint in a directory, in float32."""
    model = MiniCpmV(ModelConfig.read(directory / "config.json"))
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(index["weight_map"].values())):
        tensors |= read_safetensors(directory / shard)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model.to(device)
