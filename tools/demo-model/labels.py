"""What lies where in a drawn picture, as the training's second teacher: shape, colour, character and background at points of
a slice.

A drawn picture's description says what every point of it shows. A vision tower that must say so for every patch learns
shapes and letters from each picture some hundred times, where an answer teaches it a few words. The heads that say it are
used while training only.
"""

import math
import string
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prompt import Region
from scenes import COLOURS, SHAPES, Fonts, Line, Scene

CHARACTERS = string.digits + string.ascii_letters
# Shape, colour and character of what is drawn there; colour of the background where nothing is. 0 is none.
CLASSES = (1 + len(SHAPES), 1 + len(COLOURS), 1 + len(CHARACTERS), 1 + len(COLOURS))
KINDS = len(CLASSES)
POINTS_OF_PATCH = (3, 1)  # across, down
CELLS, POINTS_OF_CELL = 8, (4, 2)  # the 64 queries answer for 8 x 8 cells of a slice
NONE_WEIGHT = 0.1  # most points show the background
SHAPE_NUMBER = {name: index + 1 for index, name in enumerate(SHAPES)}
COLOUR_NUMBER = {name: index + 1 for index, name in enumerate(COLOURS)}


class Labels:
    """The labels of the slices of drawn pictures, one of each kind in the last axis."""

    def __init__(self, fonts: Fonts):
        self.fonts = fonts

    def of_patches(self, scene: Scene, region: Region, grid: tuple[int, int]) -> np.ndarray:
        """uint8 [rows * columns, points of a patch, KINDS]."""
        return self._of_cells(scene, region, grid, POINTS_OF_PATCH)

    def of_queries(self, scene: Scene, region: Region) -> np.ndarray:
        """uint8 [queries, points of a cell, KINDS]."""
        return self._of_cells(scene, region, (CELLS, CELLS), POINTS_OF_CELL)

    def _of_cells(self, scene: Scene, region: Region, grid: tuple[int, int], points: tuple[int, int]) -> np.ndarray:
        rows, columns = grid
        across, down = points
        width, height = (region.right - region.left) * scene.width, (region.bottom - region.top) * scene.height
        x = region.left * scene.width + (np.arange(columns * across) + .5) * width / (columns * across)
        y = region.top * scene.height + (np.arange(rows * down) + .5) * height / (rows * down)
        labels = self._at(scene, x, y, height / (rows * down) / 2)
        return labels.reshape(rows, down, columns, across, KINDS).transpose(0, 2, 1, 3, 4).reshape(rows * columns, down * across, KINDS)

    def _at(self, scene: Scene, x: np.ndarray, y: np.ndarray, reach: float) -> np.ndarray:
        """uint8 [y, x, KINDS]. A line of text is taken to be `reach` higher and lower than it is, so that the points beside a
        line smaller than their distance see it."""
        labels = np.zeros((len(y), len(x), KINDS), dtype=np.uint8)
        labels[:, :, 3] = COLOUR_NUMBER.get(scene.background.name, 0)
        for thing in scene.things:
            half = thing.size / 2
            rows, columns = _between(y, thing.y - half, thing.y + half), _between(x, thing.x - half, thing.x + half)
            labels[rows, columns, 0] = SHAPE_NUMBER[thing.shape]
            labels[rows, columns, 1] = COLOUR_NUMBER[thing.colour]
            labels[rows, columns, 3] = 0
        for line in scene.lines:
            ends, half = self._ends(line.font, line.pixels, line.text)
            lean = math.tan(math.radians(line.angle))
            numbers = np.searchsorted(ends, x - line.x)
            for index, character in enumerate(line.text):
                columns = np.flatnonzero(numbers == index + 1)
                if len(columns):
                    middle = line.y - lean * (x[columns].mean() - line.x)
                    rows = _between(y, middle - half - reach, middle + half + reach)
                    labels[rows, columns[0]:columns[-1] + 1, 1] = COLOUR_NUMBER[line.colour]
                    labels[rows, columns[0]:columns[-1] + 1, 2] = 1 + CHARACTERS.index(character)
        return labels

    @lru_cache(maxsize=1000)
    def _ends(self, font: int, pixels: int, text: str) -> tuple[np.ndarray, float]:
        """Where the characters begin and end, from the middle of the text, and half the text's height."""
        drawn = self.fonts.get(font, pixels)
        box = drawn.getbbox(text)
        middle = (box[0] + box[2]) / 2
        ends = np.array([drawn.getlength(text[:count]) for count in range(len(text) + 1)]) - middle
        return ends, (box[3] - box[1]) / 2


def _between(values: np.ndarray, low: float, high: float) -> slice:
    return slice(int(np.searchsorted(values, low)), int(np.searchsorted(values, high)))


class LabelHead(nn.Module):
    """Says from one row what its points show."""

    def __init__(self, width: int, points: tuple[int, int]):
        super().__init__()
        self.points = points[0] * points[1]
        self.linear = nn.Linear(width, self.points * sum(CLASSES))

    def loss(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """x [rows, width], labels uint8 [rows, points, KINDS]: the mean loss, and the share of right labels of each kind
        where there is one."""
        logits = self.linear(x).unflatten(-1, (self.points, -1)).flatten(0, 1).float()
        losses, right = [], []
        for part, truth in zip(logits.split(CLASSES, dim=1), labels.flatten(0, 1).long().unbind(1)):
            weight = torch.ones(part.shape[1], device=part.device)
            weight[0] = NONE_WEIGHT
            losses.append(F.cross_entropy(part, truth, weight))
            some = truth > 0
            right.append(((part.argmax(1) == truth) & some).sum() / some.sum().clamp(min=1))
        return torch.stack(losses).sum(), torch.stack(right)


class LabelHeads(nn.Module):
    """The heads over the tower's patches and the resampler's queries."""

    def __init__(self, vision_width: int, width: int):
        super().__init__()
        self.patches = LabelHead(vision_width, POINTS_OF_PATCH)
        self.queries = LabelHead(width, POINTS_OF_CELL)
