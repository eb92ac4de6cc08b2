"""Trains the demo model on one GPU (or, slowly, on a CPU), from scratch or from a checkpoint.

    python3 train.py --model MODEL_DIRECTORY --fonts FONTS_DIRECTORY --out CHECKPOINT_DIRECTORY --minutes 9
                     [--resume CHECKPOINT_DIRECTORY]

The model directory holds the configuration and the tokenizer. A checkpoint is the weights in bfloat16, in the exported
form, and progress.json. Its directory may serve as --resume of a later run, which begins at its weights and step with
fresh moments and a short warm-up; so may an exported model, with the full difficulty from the first step.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from dataset import CATEGORIES, RECIPES, Batch, TrainingSteps
from export import INDEX, write_weights
from labels import KINDS, LabelHeads
from model import MiniCpmV, ModelConfig, read_safetensors
from muon import Muon

MATRIX_RATE = 2.5e-3
OTHER_RATE = 2e-3
LABEL_WEIGHT = 0.3
LABELS_UNTIL = 0.8  # the share of the run over which the weight of the labels falls to zero
WARM_UP_STEPS = 50
DECAY_SHARE = 0.4  # the last part of the run, in which the rate falls to zero
LOG_STEPS = 25
SAVE_SECONDS = 90


def initialise(model: MiniCpmV) -> None:
    """Random weights. Projections back into the residual streams start small."""
    vision_layers, text_layers = len(model.vpm.encoder.layers), len(model.llm.model.layers)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        width = parameter[0].numel()
        std = {"llm.model.embed_tokens.weight": .3, "vpm.embeddings.position_embedding.weight": .3,
               "resampler.query": 1.0}.get(name, width ** -0.5)
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            std /= math.sqrt(2 * text_layers)
        elif name.endswith(("self_attn.out_proj.weight", "fc2.weight")):
            std /= math.sqrt(2 * vision_layers)
        nn.init.normal_(parameter, std=std)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    nn.init.zeros_(model.vpm.embeddings.patch_embedding.bias)


def split_parameters(model: MiniCpmV) -> tuple[list[tuple[nn.Parameter, int]], list[nn.Parameter]]:
    """Matrices for Muon, each with the number of matrices stacked in it; embeddings, heads, norms and biases for AdamW."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.dim() != 2 or any(part in name for part in ("embed", "lm_head", "query")):
            others.append(parameter)
        else:
            matrices.append((parameter, 3 if name.endswith("in_proj_weight") else 1))
    return matrices, others


@dataclass
class Losses:
    """Of a batch: the answers' summed loss, whether each target is the likeliest token, the labels' mean loss, and the
    shares of labels of each kind told right by patches, then by queries."""

    answers: Tensor
    hits: Tensor
    labels: Tensor
    label_shares: Tensor


def losses_of(model: MiniCpmV, heads: LabelHeads, batch: Batch) -> Losses:
    with torch.autocast(batch.ids.device.type, torch.bfloat16):
        features, grid = model.see(batch.patches, batch.grids, batch.slice_length)
        visual = model.resampler(features, grid)
        patch_loss, patch_shares = heads.patches.loss(features[grid.valid], batch.patch_labels)
        query_loss, query_shares = heads.queries.loss(visual.flatten(0, 1), batch.query_labels.flatten(0, 1))
        hidden = model.llm.model(model.embed(batch.ids, visual if len(batch.places) else None, batch.places))
        logits = model.llm.lm_head(hidden.flatten(0, 1)[batch.sources]).float()
    return Losses(F.cross_entropy(logits, batch.targets, reduction="sum"), logits.argmax(1) == batch.targets,
                  patch_loss + query_loss, torch.cat([patch_shares, query_shares]))


class Scores:
    """How many answers of each category were right in every token, given the right tokens before."""

    def __init__(self, device: str) -> None:
        self.right = torch.zeros(len(CATEGORIES), device=device)
        self.seen = torch.zeros(len(CATEGORIES), device=device)
        self.label_shares: list[Tensor] = []

    def add(self, batch: Batch, losses: Losses) -> None:
        ones = torch.ones_like(batch.categories, dtype=torch.float)
        right = ones.scatter_reduce(0, batch.turns, losses.hits.float(), "amin")
        self.right.index_add_(0, batch.categories, right)
        self.seen.index_add_(0, batch.categories, ones)
        self.label_shares.append(losses.label_shares.detach())

    def take(self) -> str:
        shares = (100 * self.right / self.seen.clamp(min=1)).tolist()
        self.right.zero_()
        self.seen.zero_()
        labels = (100 * torch.stack(self.label_shares).mean(0)).tolist()
        self.label_shares.clear()
        return " ".join(f"{name[:8]} {share:.0f}" for name, share in zip(CATEGORIES, shares)) + "; labels of patches " \
            + "/".join(f"{share:.0f}" for share in labels[:KINDS]) + ", queries " \
            + "/".join(f"{share:.0f}" for share in labels[KINDS:])


def rate_at(elapsed: float, steps_in_run: int) -> float:
    """The share of the full learning rate, by the share of the run's time that has passed."""
    return min(1.0, (steps_in_run + 1) / WARM_UP_STEPS) * min(1.0, max(0.0, 1 - elapsed) / DECAY_SHARE)


def train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    torch.multiprocessing.set_sharing_strategy("file_system")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":  # cuDNN's attention is planned anew for every shape, and no two batches have the same
        torch.backends.cuda.enable_cudnn_sdp(False)
    else:
        torch.set_num_threads(arguments.threads)
    started = time.monotonic()
    model = MiniCpmV(ModelConfig.read(arguments.model / "config.json"))
    initialise(model)
    first_step = 0
    if arguments.resume:
        for shard in sorted(set(json.loads((arguments.resume / INDEX).read_text())["weight_map"].values())):
            model.load_state_dict({name: tensor.float() for name, tensor in read_safetensors(arguments.resume / shard).items()},
                                  strict=False)
        progress = arguments.resume / "progress.json"  # exported weights have none
        first_step = json.loads(progress.read_text())["step"] if progress.exists() else RECIPES[arguments.recipe].ramp_steps
    samples = TrainingSteps(RECIPES[arguments.recipe], arguments.model, arguments.fonts, arguments.seed, first_step)
    steps = iter(DataLoader(samples, batch_size=None, num_workers=arguments.workers, prefetch_factor=2,
                            pin_memory=device == "cuda"))
    heads = LabelHeads(model.config.vision_hidden_size, model.config.hidden_size).to(device)
    model.to(device)
    if arguments.compile:
        for layer in [*model.vpm.encoder.layers, *model.llm.model.layers]:
            layer.compile(dynamic=True)
    matrices, others = split_parameters(model)
    others += heads.parameters()
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    scores, losses, waited, targets_seen = Scores(device), torch.zeros((), device=device), 0.0, 0
    saved = logged = time.monotonic()
    step = first_step
    while (elapsed := (time.monotonic() - started) / (60 * arguments.minutes)) < 1:
        asked = time.monotonic()
        batches = [batch.to(device) for batch in next(steps)]
        waited += time.monotonic() - asked
        targets = sum(len(batch.targets) for batch in batches)
        label_weight = LABEL_WEIGHT * max(0.0, 1 - elapsed / LABELS_UNTIL)
        for batch in batches:
            found = losses_of(model, heads, batch)
            (found.answers / targets + label_weight / len(batches) * found.labels).backward()
            losses += found.answers.detach()
            scores.add(batch, found)
        rate = rate_at(elapsed, step - first_step)
        nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(MATRIX_RATE * rate)
        adam.param_groups[0]["lr"] = OTHER_RATE * rate
        adam.step()
        model.zero_grad(set_to_none=True)
        heads.zero_grad(set_to_none=True)
        step += 1
        targets_seen += targets
        if step % LOG_STEPS == 0:
            now = time.monotonic()
            print(f"step {step} {now - started:.0f} s, {(now - logged) / LOG_STEPS:.3f} s a step, waited "
                  f"{waited / (now - logged):.0%}, rate {rate:.2f}, loss {losses.item() / targets_seen:.4f}, "
                  f"right %: {scores.take()}", flush=True)
            losses.zero_()
            waited, targets_seen, logged = 0.0, 0, now
            if now - saved > SAVE_SECONDS:
                save(model, arguments.out, step)
                saved = now
    save(model, arguments.out, step)
    print(f"{step} steps", flush=True)


def save(model: MiniCpmV, directory: Path, step: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_weights(model, directory)
    (directory / "progress.json").write_text(json.dumps({"step": step}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--recipe", choices=list(RECIPES), default="gpu")
    parser.add_argument("--compile", action="store_true", help="compile the layers first")
    parser.add_argument("--threads", type=int, default=1, help="threads of the arithmetic on a CPU")
    parser.add_argument("--workers", type=int, default=15)
    train(parser.parse_args())
