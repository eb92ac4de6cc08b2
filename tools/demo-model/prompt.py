"""Conversations to token ids, patches and supervised positions: the chat template and the placeholders of pictures."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from preprocess import SliceSettings, cut, patchify, placeholder
from tokenizer import Tokenizer

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


@dataclass
class Message:
    """A role and its parts: text, or a picture."""

    role: str
    parts: list[str | Image.Image]


@dataclass
class Options:
    """The arguments of chat() that change the prompt."""

    max_slice_nums: int | None = None
    use_image_id: bool = True


@dataclass
class Encoded:
    """A prompt ready for the model.

    ids: token ids. answer: for each id, the number of the assistant's answer that it belongs to, or -1.
    patches: uint8 [patches, 588] of each slice. grids: (rows, columns) of each slice. regions: the part of a picture that
    each slice shows.
    """

    ids: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    patches: list[np.ndarray] = field(default_factory=list)
    grids: list[tuple[int, int]] = field(default_factory=list)
    regions: list["Region"] = field(default_factory=list)


@dataclass(frozen=True)
class Region:
    """Left, top, right and bottom of a part of picture number `picture`, as shares of its width and height."""

    picture: int
    left: float
    top: float
    right: float
    bottom: float

    @staticmethod
    def of_slices(picture: int, grid: tuple[int, int] | None) -> list["Region"]:
        """The overview's, and those of the slices of a grid (columns, rows), in the order of `cut`."""
        columns, rows = grid or (0, 0)
        return [Region(picture, 0, 0, 1, 1),
                *(Region(picture, column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
                  for row in range(rows) for column in range(columns))]


class PromptBuilder:
    """Builds prompts exactly as the original's chat() does."""

    def __init__(self, directory: Path):
        values = json.loads((directory / "preprocessor_config.json").read_text())
        self.settings = SliceSettings(values["scale_resolution"], values["patch_size"], values["max_slice_nums"],
                                      values["image_feature_size"])
        self.tokenizer = Tokenizer(directory / "tokenizer.json")

    def encode(self, messages: list[Message], options: Options, generate: bool) -> Encoded:
        """With `generate`, the prompt ends where the assistant's answer begins."""
        encoded = Encoded()
        has_system = messages[0].role == "system"
        self._append(encoded, "" if has_system else SYSTEM)
        pictures = answers = 0
        for message in messages:
            text, pictures = self._content(message, options, pictures, encoded)
            is_answer = message.role == "assistant"
            self._append(encoded, f"<|im_start|>{message.role}\n")
            self._append(encoded, text + "<|im_end|>", answers if is_answer else -1)
            self._append(encoded, "\n")
            answers += is_answer
        if generate:
            self._append(encoded, "<|im_start|>assistant\n")
        return encoded

    def _content(self, message: Message, options: Options, pictures: int, encoded: Encoded) -> tuple[str, int]:
        settings = self.settings
        if options.max_slice_nums is not None:
            settings = SliceSettings(settings.scale_resolution, settings.patch_size, options.max_slice_nums,
                                     settings.query_num)
        texts = []
        for part in message.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            slices, grid = cut(part, settings)
            encoded.regions += Region.of_slices(pictures, grid)
            for picture in slices:
                patches, size = patchify(picture, settings.patch_size)
                encoded.patches.append(patches)
                encoded.grids.append(size)
            texts.append(placeholder(pictures, grid, options.use_image_id, settings.query_num))
            pictures += 1
        return "\n".join(texts), pictures

    def _append(self, encoded: Encoded, text: str, answer: int = -1) -> None:
        ids = self.tokenizer.encode(text)
        encoded.ids += ids
        encoded.answer += [answer] * len(ids)
