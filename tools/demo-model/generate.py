"""Draws the held-out evaluation set: pictures and questions.jsonl.

    python3 generate.py --model MODEL_DIRECTORY --fonts FONTS_DIRECTORY --out EVALUATION_DIRECTORY [--scale 1.0] [--rare]

Its seeds are not the training's, and the words and numbers to be read (from three characters on) are never drawn for
training. `--scale 0.05` makes a twentieth of the questions. `--rare` makes a set of what this one shows rarely instead:
several things of one kind beside several of another, and two pictures of several slices each.
"""

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from prompt import PromptBuilder
from questions import Turn, colour_answer
from samples import Sample, SampleMaker
from scenes import Fonts, Thing, draw, shade, things_scene

SEED = "evaluation 2026"
RED_BLUE_PAIRS = 24
QUESTIONS = {"colour_shape": 330, "counting": 320, "position": 320, "reading": 320, "describe": 150, "follow_up": 200,
             "two_pictures": 200, "video": 200, "small_text": 200, "absent": 150, "greeting": 50}
KIND_OF = {"reading": "text", "two_pictures": "pair", "video": "video", "small_text": "small_text", "greeting": "talk"}
RARE_SEED = "rare 2026"
RARE_QUESTIONS = {"counting": 100, "two_pictures": 100}
RARE_KIND_OF = {"counting": "groups", "two_pictures": "large_pair"}
LEAST_JPEG_PIXELS = 20_000  # noisy pictures of at least this size are stored as JPEG, all others as PNG
HISTORY_SHARE = .25


class EvaluationSet:
    """Collects questions until every category has its number."""

    def __init__(self, directory: Path):
        self.pictures = directory / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.records: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def save_picture(self, picture: Image.Image, name: str) -> str:
        noisy = len(picture.getcolors(1 << 24)) > 4000
        if noisy and picture.width * picture.height >= LEAST_JPEG_PIXELS:
            picture.save(self.pictures / f"{name}.jpg", quality=90)
            return f"pictures/{name}.jpg"
        picture.save(self.pictures / f"{name}.png", optimize=True)
        return f"pictures/{name}.png"

    def add(self, sample: Sample, turns: list[Turn], files: list[str], **more: object) -> None:
        """Adds the last of the turns as a question; those before it are its history."""
        messages = []
        paths = {id(picture): path for picture, path in zip(sample.pictures, files)}
        for message in sample.messages(turns):
            content = [{"text": part} if isinstance(part, str) else {"image": paths[id(part)]} for part in message.parts]
            messages.append({"role": message.role, "content": content})
        turn = turns[-1]
        options = {"max_slice_nums": sample.options.max_slice_nums, "use_image_id": sample.options.use_image_id}
        record: dict[str, Any] = {
            "id": f"{turn.category}-{self.counts[turn.category]:04}", "category": turn.category,
            "language": "en" if turn.answer.isascii() else "zh", "messages": messages[:-1], "answer": turn.answer}
        if sample.options.max_slice_nums is not None:
            record["options"] = options
        self.records.append(record | more)
        self.counts[turn.category] += 1


def collect(evaluation: EvaluationSet, maker: SampleMaker, rng: Random, wanted: dict[str, int],
            kind_of: dict[str, str]) -> None:
    """Fills the categories one after another; questions of other categories that come along are kept while needed."""
    number = 0
    for category, count in wanted.items():
        while evaluation.counts[category] < count:
            sample = maker.make(rng, kind_of.get(category, "things"), rng.choice([2, 3, 4]))
            needed = [group for group in sample.groups
                      if any(evaluation.counts[turn.category] < wanted.get(turn.category, 0) for turn in group)]
            if not any(turn.category == category for group in needed for turn in group):
                continue
            files = [evaluation.save_picture(picture, f"{number:04}-{index}") for index, picture in enumerate(sample.pictures)]
            number += 1
            for group in needed:
                other = rng.choice(sample.groups)
                history = other if other is not group and rng.random() < HISTORY_SHARE and not group[-1].pictures else []
                for place, turn in enumerate(group):
                    if evaluation.counts[turn.category] < wanted.get(turn.category, 0):
                        evaluation.add(sample, [*history, *group[:place + 1]], files)


def collect_red_blue(evaluation: EvaluationSet, maker: SampleMaker, rng: Random, pairs: int) -> None:
    """Pairs of pictures that differ in the colour of one thing only, under the same question."""
    number = 0
    while number < pairs:
        scene = things_scene(rng, maker.fonts, maker.size(rng, 1.0), for_evaluation=True, most=4, text_share=0)
        if not scene.things or any(thing.colour in ("red", "blue") for thing in scene.things) \
                or scene.background.name in ("red", "blue", "purple", "pink", "orange", "brown", "cyan", "grey"):
            continue
        first: Thing = scene.things[0]
        if sum(thing.shape == first.shape for thing in scene.things) > 1:
            continue
        speaker = maker.speaker(rng)
        what = speaker.noun(None, first.shape)
        question = speaker.ask("colour", what=what)
        for name in ("red", "blue"):
            thing = replace(first, colour=name, rgb=shade(rng, name))
            changed = replace(scene, things=(thing, *scene.things[1:]))
            picture = draw(changed, maker.fonts)
            turn = Turn("colour_shape", question, colour_answer(speaker, what, thing))
            sample = Sample([picture], [changed], [[turn]])
            evaluation.add(sample, [turn], [evaluation.save_picture(picture, f"red-blue-{number:02}-{name}")], red_blue=number)
        number += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rare", action="store_true")
    arguments = parser.parse_args()
    result = EvaluationSet(arguments.out)
    samples = SampleMaker(Fonts(arguments.fonts), PromptBuilder(arguments.model).settings, for_evaluation=True)
    generator = Random(RARE_SEED if arguments.rare else SEED)
    if not arguments.rare:
        collect_red_blue(result, samples, generator, max(1, round(RED_BLUE_PAIRS * arguments.scale)))
    numbers = {name: max(2, round(count * arguments.scale))
               for name, count in (RARE_QUESTIONS if arguments.rare else QUESTIONS).items()}
    collect(result, samples, generator, numbers, RARE_KIND_OF if arguments.rare else KIND_OF)
    with (arguments.out / "questions.jsonl").open("w", encoding="utf-8") as file:
        for entry in result.records:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    print(f"{len(result.records)} questions: {dict(result.counts)}")
