"""Trains a small vision tower alone to name the eight shapes, on a CPU: can it learn fixed pictures by heart, and new ones?

    python3 check_training.py [--pictures 256] [--seconds 60] [--optimiser adamw] [--rate 1e-3]

Prints the accuracy on the training pictures of the last passes and on 256 pictures never trained on.
"""

import argparse
import time
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import MiniCpmV, ModelConfig, PatchGrid
from muon import Muon
from preprocess import patchify
from scenes import COLOURS, SHAPES, Background, Scene, Thing, distance, draw, shade
from train import initialise, split_parameters

SIDE, PATCH, BATCH, WARM_UP_STEPS = 112, 14, 32, 30
CONFIG = ModelConfig(hidden_size=128, intermediate_size=256, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=1, vocab_size=64, rope_theta=1e6, rms_norm_eps=1e-6, query_num=16,
                     patch_size=PATCH, vision_hidden_size=128, vision_intermediate_size=512,
                     vision_num_hidden_layers=4, vision_num_attention_heads=4, vision_image_size=SIDE)


def pictures(seed: str, count: int, smallest: float) -> tuple[Tensor, Tensor]:
    """uint8 patches [count, patches, 3 * patch * patch] of one upright shape each on a plain background; its number."""
    rng = Random(seed)
    patches, labels = [], []
    for _ in range(count):
        colour, other = rng.sample(list(COLOURS), 2)
        while distance(COLOURS[colour], COLOURS[other]) < 115:
            other = rng.choice(list(COLOURS))
        label = rng.randrange(len(SHAPES))
        size = rng.uniform(smallest, .9) * SIDE
        x, y = (rng.uniform(size / 2, SIDE - size / 2) for _ in range(2))
        rgb = shade(rng, other)
        thing = Thing(colour, SHAPES[label], x, y, size, shade(rng, colour))
        picture = draw(Scene(SIDE, SIDE, Background(rgb, rgb, "plain", 0, other, 0), (thing,)), None)
        patches.append(torch.from_numpy(patchify(picture, PATCH)[0].copy()))
        labels.append(label)
    return torch.stack(patches), torch.tensor(labels)


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    started = time.monotonic()
    x, y = pictures("train", arguments.pictures, arguments.smallest)
    held_x, held_y = pictures("held out", 256, arguments.smallest)
    print(f"{arguments.pictures} pictures drawn in {time.monotonic() - started:.0f} s", flush=True)
    model = MiniCpmV(CONFIG)
    initialise(model)
    if arguments.position_std is not None:
        nn.init.normal_(model.vpm.embeddings.position_embedding.weight, std=arguments.position_std)
    if arguments.patch_gain != 1:
        model.vpm.embeddings.patch_embedding.weight.data *= arguments.patch_gain
    head = nn.Linear(CONFIG.vision_hidden_size, len(SHAPES))
    grid = PatchGrid.of(torch.full((1, 2), SIDE // PATCH), (SIDE // PATCH) ** 2)

    def logits(patches: Tensor) -> Tensor:
        return head(model.vpm(patches.float() / 127.5 - 1, grid).mean(1))

    tower = {id(parameter) for parameter in model.vpm.parameters()}
    matrices = [item for item in split_parameters(model)[0] if id(item[0]) in tower]
    by_muon = {id(parameter) for parameter, _ in matrices} if arguments.optimiser == "muon" else set()
    muon = Muon(matrices) if by_muon else None
    others = [parameter for parameter in [*model.vpm.parameters(), *head.parameters()] if id(parameter) not in by_muon]
    adam = torch.optim.AdamW(others, lr=arguments.rate, betas=(0.9, 0.98), weight_decay=0.0)
    started, order, step, right, losses, seen = time.monotonic(), torch.empty(0, dtype=torch.long), 0, 0.0, 0.0, 0
    while time.monotonic() - started < arguments.seconds:
        if len(order) < BATCH:
            order = torch.randperm(len(x))
        batch, order = order[:BATCH], order[BATCH:]
        output = logits(x[batch])
        loss = F.cross_entropy(output, y[batch])
        loss.backward()
        step += 1
        rate = arguments.rate * min(1, step / WARM_UP_STEPS)
        nn.utils.clip_grad_norm_(others, 1.0)
        if muon:
            muon.step(rate)
        adam.param_groups[0]["lr"] = rate
        adam.step()
        model.zero_grad(set_to_none=True)
        head.zero_grad(set_to_none=True)
        right, losses, seen = right + (output.argmax(1) == y[batch]).sum().item(), losses + loss.item() * BATCH, seen + BATCH
        if step % 50 == 0:
            with torch.no_grad():
                held = (logits(held_x).argmax(1) == held_y).float().mean().item()
            print(f"{step * BATCH} seen, {step * BATCH / (time.monotonic() - started):.0f} a second, loss {losses / seen:.3f}, "
                  f"right: training {right / seen:.0%}, held out {held:.0%}", flush=True)
            right, losses, seen = 0.0, 0.0, 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--optimiser", choices=["adamw", "muon"], default="adamw", help="what trains the matrices")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--smallest", type=float, default=.4, help="the smallest shape, as a share of the side")
    parser.add_argument("--position-std", type=float, help="in place of train.py's")
    parser.add_argument("--patch-gain", type=float, default=1.0, help="factor of the initial patch embedding")
    parser.add_argument("--threads", type=int, default=1)
    train(parser.parse_args())
