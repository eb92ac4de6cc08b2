"""Asks the demo's questions, turn by turn with the model's own answers as history, and compares with what is expected.

    python3 check_demo.py MODEL_DIRECTORY PICTURES_DIRECTORY
"""

import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence

from evaluate import MOST_NEW_TOKENS, generate
from model import load_model
from prompt import Message, Options, PromptBuilder
from samples import VIDEO_OPTIONS


def pictures_of(entry: dict[str, Any], directory: Path) -> list[Image.Image]:
    if "video" in entry:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(directory / entry["video"]))]
    return [Image.open(directory / name) for name in entry["images"]]


def check(model_directory: Path, directory: Path) -> bool:
    """Whether every answer is the expected one."""
    model, prompts = load_model(model_directory), PromptBuilder(model_directory)
    wrong = 0
    for entry in json.loads((directory / "demo.json").read_text(encoding="utf-8")):
        messages: list[Message] = []
        pictures = pictures_of(entry, directory)
        for question, expected in zip(entry["turns"], entry["expect"]):
            messages.append(Message("user", [*pictures, question]))
            pictures = []
            encoded = prompts.encode(messages, VIDEO_OPTIONS if "video" in entry else Options(), generate=True)
            _, answers = generate(model, prompts.tokenizer, [encoded], MOST_NEW_TOKENS)
            answer = prompts.tokenizer.decode(answers[0])
            messages.append(Message("assistant", [answer]))
            wrong += answer != expected
            print(f"{'' if answer == expected else 'WRONG '}{entry['title']}: {question} {answer}")
    print(f"{wrong} wrong answers")
    return wrong == 0


if __name__ == "__main__":
    sys.exit(0 if check(Path(sys.argv[1]), Path(sys.argv[2])) else 1)
