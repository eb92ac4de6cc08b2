"""An endless stream of training steps: conversations drawn on the fly by worker processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from labels import CELLS, KINDS, POINTS_OF_CELL, POINTS_OF_PATCH, Labels
from prompt import Encoded, PromptBuilder
from samples import SampleMaker
from scenes import Fonts, Scene

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
    "gpu": Recipe(512, 131_072, 900, 1.0, {"things": .55, "text": .40, "talk": .05},
                  {"things": .37, "text": .22, "small_text": .15, "pair": .14, "video": .10, "talk": .02}),
    "refine": Recipe(512, 131_072, 1, 1.0, {"things": 1},
                     {"things": .18, "groups": .10, "text": .23, "small_text": .19, "pair": .19, "large_pair": .04,
                      "video": .05, "talk": .02}),
    "cpu": Recipe(16, 2_500, 1500, 0.35, {"things": .95, "talk": .05},
                  {"things": .65, "text": .08, "pair": .15, "video": .07, "talk": .05})}


@dataclass
class Batch:
    """Conversations of similar length, padded on the right.

    ids [batch, length]; places [slices * queries]: flat positions of visual rows; patches uint8 [total, 588];
    grids [slices, 2]; slice_length: patches that slices are padded to; sources [targets]: flat positions whose output
    predicts targets [targets]; turns [targets]: the answer each belongs to; categories [answers]; patch_labels uint8
    [total, points, kinds] and query_labels uint8 [slices, queries, points, kinds]: see labels.py.
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
    patch_labels: Tensor
    query_labels: Tensor

    def pin_memory(self) -> "Batch":
        return Batch(**{name: value.pin_memory() if isinstance(value, Tensor) else value for name, value in vars(self).items()})

    def to(self, device: str) -> "Batch":
        moved = {name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
                 for name, value in vars(self).items()}
        for name in ("ids", "places", "grids", "sources", "targets", "turns", "categories"):
            moved[name] = moved[name].long()
        return Batch(**moved)


@dataclass
class Conversation:
    """An encoded conversation, the categories of its answers and the labels of its slices."""

    encoded: Encoded
    categories: list[str]
    patch_labels: list[np.ndarray]
    query_labels: list[np.ndarray]

    @staticmethod
    def of(encoded: Encoded, categories: list[str], scenes: list[Scene], labels: Labels) -> "Conversation":
        parts = [(scenes[region.picture], region) for region in encoded.regions]
        return Conversation(encoded, categories, [labels.of_patches(*part, grid) for part, grid in zip(parts, encoded.grids)],
                            [labels.of_queries(*part) for part in parts])


def make_batch(samples: list[Conversation], unknown_id: int) -> Batch:
    """Pads and joins encoded conversations."""
    length = max(len(sample.encoded.ids) for sample in samples)
    ids = np.zeros((len(samples), length), dtype=np.int32)
    sources, targets, turns, categories = [], [], [], []
    for row, sample in enumerate(samples):
        encoded = sample.encoded
        ids[row, :len(encoded.ids)] = encoded.ids
        answers = np.array(encoded.answer)
        at = np.flatnonzero(answers >= 0)
        sources.append(row * length + at - 1)
        targets.append(ids[row, at])
        turns.append(answers[at] + len(categories))
        categories += [CATEGORIES.index(name) for name in sample.categories]
    grids = [grid for sample in samples for grid in sample.encoded.grids] or [(1, 1)]
    patches = [patch for sample in samples for patch in sample.encoded.patches] or [np.zeros((1, 588), np.uint8)]
    patch_labels = [labels for sample in samples for labels in sample.patch_labels] \
        or [np.zeros((1, POINTS_OF_PATCH[0] * POINTS_OF_PATCH[1], KINDS), np.uint8)]
    query_labels = [labels for sample in samples for labels in sample.query_labels] \
        or [np.zeros((CELLS * CELLS, POINTS_OF_CELL[0] * POINTS_OF_CELL[1], KINDS), np.uint8)]
    longest = max(rows * columns for rows, columns in grids)
    return Batch(
        ids=torch.from_numpy(ids), places=torch.from_numpy(np.flatnonzero(ids == unknown_id).astype(np.int32)),
        patches=torch.from_numpy(np.concatenate(patches)), grids=torch.tensor(grids, dtype=torch.int32),
        slice_length=-(-longest // 8) * 8, sources=torch.from_numpy(np.concatenate(sources).astype(np.int32)),
        targets=torch.from_numpy(np.concatenate(targets)), turns=torch.from_numpy(np.concatenate(turns).astype(np.int32)),
        categories=torch.tensor(categories, dtype=torch.int32),
        patch_labels=torch.from_numpy(np.concatenate(patch_labels)),
        query_labels=torch.from_numpy(np.stack(query_labels)))


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
        fonts = Fonts(self.fonts_directory)
        maker, labels = SampleMaker(fonts, prompts.settings, for_evaluation=False), Labels(fonts)
        step = self.first_step + worker
        while True:
            yield self.make_step(Random(f"training {self.seed} {step}"), prompts, maker, labels, self.recipe.level(step))
            step += workers

    def make_step(self, rng: Random, prompts: PromptBuilder, maker: SampleMaker, labels: Labels,
                  level: float) -> list[Batch]:
        """The samples of one step, sorted by length and cut into batches."""
        conversations = []
        for _ in range(self.recipe.samples_per_step):
            sample = maker.make(rng, self.recipe.kind(rng, level), rng.choice([1, 2, 3, 4, 5, 6]), level)
            turns = sample.turns()
            encoded = prompts.encode(sample.messages(turns), sample.options, generate=False)
            conversations.append(Conversation.of(encoded, [turn.category for turn in turns], sample.scenes, labels))
        conversations.sort(key=lambda conversation: len(conversation.encoded.ids))
        batches: list[list[Conversation]] = [[]]
        for conversation in conversations:
            if (len(batches[-1]) + 1) * len(conversation.encoded.ids) > self.recipe.tokens_per_batch:
                batches.append([])
            batches[-1].append(conversation)
        return [make_batch(batch, prompts.tokenizer.special["<unk>"]) for batch in batches]
