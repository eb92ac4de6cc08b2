"""An endless stream of training steps: conversations drawn on the fly by worker processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from prompt import Encoded, PromptBuilder
from samples import SampleMaker
from scenes import Fonts

CATEGORIES = ("colour_shape", "counting", "position", "reading", "describe", "follow_up", "two_pictures", "video",
              "small_text", "absent", "greeting")


@dataclass(frozen=True)
class Recipe:
    """The samples of a training step.

    Difficulty rises from 0 to `highest_level` over the first `ramp_steps` steps: samples are of the `easy` kinds at level
    0 and of the `full` kinds at level 1.
    """

    samples_per_step: int
    tokens_per_batch: int
    ramp_steps: int
    highest_level: float
    easy: dict[str, float]
    full: dict[str, float]

    def level(self, step: int) -> float:
        return self.highest_level * min(1.0, step / self.ramp_steps)

    def kind(self, rng: Random, level: float) -> str:
        kinds = self.full if rng.random() < level else self.easy
        return rng.choices(list(kinds), list(kinds.values()))[0]


RECIPES = {
    "gpu": Recipe(512, 65_536, 900, 1.0, {"things": .55, "text": .40, "talk": .05},
                  {"things": .40, "text": .27, "small_text": .10, "pair": .10, "video": .10, "talk": .03}),
    "cpu": Recipe(16, 2_500, 1500, 0.35, {"things": .95, "talk": .05},
                  {"things": .65, "text": .08, "pair": .15, "video": .07, "talk": .05})}


@dataclass
class Batch:
    """Conversations of similar length, padded on the right.

    ids [batch, length]; places [slices * queries]: flat positions of visual rows; patches uint8 [total, 588];
    grids [slices, 2]; slice_length: patches that slices are padded to; sources [targets]: flat positions whose output
    predicts targets [targets]; turns [targets]: the answer each belongs to; categories [answers].
    """

    ids: Tensor
    places: Tensor
    patches: Tensor
    grids: Tensor
    slice_length: int
    sources: Tensor
    targets: Tensor
    turns: Tensor
    categories: Tensor

    def to(self, device: str) -> "Batch":
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        moved = {name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
                 for name, value in fields.items()}
        for name in ("ids", "places", "grids", "sources", "targets", "turns", "categories"):
            moved[name] = moved[name].long()
        return Batch(**moved)


def make_batch(samples: list[tuple[Encoded, list[str]]], unknown_id: int) -> Batch:
    """Pads and joins encoded conversations; each comes with the categories of its answers."""
    length = max(len(encoded.ids) for encoded, _ in samples)
    ids = np.zeros((len(samples), length), dtype=np.int32)
    sources, targets, turns, categories = [], [], [], []
    for row, (encoded, names) in enumerate(samples):
        ids[row, :len(encoded.ids)] = encoded.ids
        answers = np.array(encoded.answer)
        at = np.flatnonzero(answers >= 0)
        sources.append(row * length + at - 1)
        targets.append(ids[row, at])
        turns.append(answers[at] + len(categories))
        categories += [CATEGORIES.index(name) for name in names]
    grids = [grid for encoded, _ in samples for grid in encoded.grids] or [(1, 1)]
    patches = [patch for encoded, _ in samples for patch in encoded.patches] or [np.zeros((1, 588), np.uint8)]
    longest = max(rows * columns for rows, columns in grids)
    return Batch(
        ids=torch.from_numpy(ids), places=torch.from_numpy(np.flatnonzero(ids == unknown_id).astype(np.int32)),
        patches=torch.from_numpy(np.concatenate(patches)), grids=torch.tensor(grids, dtype=torch.int32),
        slice_length=-(-longest // 8) * 8, sources=torch.from_numpy(np.concatenate(sources).astype(np.int32)),
        targets=torch.from_numpy(np.concatenate(targets)), turns=torch.from_numpy(np.concatenate(turns).astype(np.int32)),
        categories=torch.tensor(categories, dtype=torch.int32))


class TrainingSteps(IterableDataset[list[Batch]]):
    """Yields the batches of one training step at a time. Each worker draws steps of its own from its own seed."""

    def __init__(self, recipe: Recipe, model_directory: Path, fonts_directory: Path, seed: str, first_step: int):
        self.recipe = recipe
        self.model_directory = model_directory
        self.fonts_directory = fonts_directory
        self.seed = seed
        self.first_step = first_step

    def __iter__(self) -> Iterator[list[Batch]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        prompts = PromptBuilder(self.model_directory)
        maker = SampleMaker(Fonts(self.fonts_directory), prompts.settings, for_evaluation=False)
        step = self.first_step + worker
        while True:
            yield self.make_step(Random(f"training {self.seed} {step}"), prompts, maker, self.recipe.level(step))
            step += workers

    def make_step(self, rng: Random, prompts: PromptBuilder, maker: SampleMaker, level: float) -> list[Batch]:
        """The samples of one step, sorted by length and cut into batches."""
        encoded = []
        for _ in range(self.recipe.samples_per_step):
            sample = maker.make(rng, self.recipe.kind(rng, level), rng.choice([1, 2, 3, 4, 5, 6]), level)
            turns = sample.turns()
            conversation = prompts.encode(sample.messages(turns), sample.options, generate=False)
            encoded.append((conversation, [turn.category for turn in turns]))
        encoded.sort(key=lambda item: len(item[0].ids))
        batches: list[list[tuple[Encoded, list[str]]]] = [[]]
        for item in encoded:
            if (len(batches[-1]) + 1) * len(item[0].ids) > self.recipe.tokens_per_batch:
                batches.append([])
            batches[-1].append(item)
        return [make_batch(batch, prompts.tokenizer.special["<unk>"]) for batch in batches]
