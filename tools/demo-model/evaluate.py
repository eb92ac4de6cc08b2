"""Answers an evaluation set greedily, in float32 with the exported weights, and says how many answers are right.

    python3 evaluate.py --model MODEL_DIRECTORY --questions EVALUATION_DIRECTORY [--write FILE]

Prints a table per category and language; ends with status 1 if a category misses its threshold or a red and a blue
picture get the same answer. `--write` writes the questions with `predicted` and `predicted_ids`.
"""

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from model import KvCache, MiniCpmV, load_model
from prompt import Encoded, Message, Options, PromptBuilder
from tokenizer import Tokenizer

MOST_NEW_TOKENS = 48
MOST_CONVERSATIONS = 64
MOST_TOKENS = 16_000
THRESHOLDS = {"colour_shape": .97, "counting": .95, "position": .95, "reading": .95, "two_pictures": .90, "video": .90,
              "small_text": .90}


def encode_pictures(model: MiniCpmV, batch: list[Encoded]) -> Tensor | None:
    """Visual rows [slices, queries, width] of all slices of the batch, in order."""
    grids = [grid for encoded in batch for grid in encoded.grids]
    if not grids:
        return None
    device = model.resampler.query.device
    patches = torch.from_numpy(np.concatenate([patch for encoded in batch for patch in encoded.patches])).to(device)
    return model.encode_slices(patches, torch.tensor(grids, device=device), max(rows * columns for rows, columns in grids))


@torch.inference_mode()
def generate(model: MiniCpmV, tokenizer: Tokenizer, batch: list[Encoded],
             max_new_tokens: int) -> tuple[Tensor, list[list[int]]]:
    """Logits [batch, vocabulary] after the prompts, and the greedy answers without their terminators.

    All prompts of a batch have the same length, so that no text is padded.
    """
    device = model.resampler.query.device
    terminators = [tokenizer.special["<|im_end|>"], tokenizer.special["<|endoftext|>"]]
    ends = torch.tensor(terminators, device=device)
    ids = torch.tensor([encoded.ids for encoded in batch], device=device)
    places = (ids == tokenizer.special["<unk>"]).flatten().nonzero().squeeze(1)
    caches = [KvCache() for _ in model.llm.model.layers]
    hidden = model.llm.model(model.embed(ids, encode_pictures(model, batch), places), caches)
    first_logits = logits = model.llm.lm_head(hidden[:, -1])
    chosen = [logits.argmax(-1)]
    while len(chosen) < max_new_tokens and not torch.isin(torch.stack(chosen), ends).any(0).all():
        embedded = model.llm.model.embed_tokens(chosen[-1])[:, None]
        hidden = model.llm.model(embedded, caches, ids.shape[1] + len(chosen) - 1)
        chosen.append(model.llm.lm_head(hidden[:, -1]).argmax(-1))
    answers = torch.stack(chosen, 1).tolist()
    return first_logits, [until_end(answer, terminators) for answer in answers]


def until_end(ids: list[int], terminators: list[int]) -> list[int]:
    return next((ids[:place] for place, token in enumerate(ids) if token in terminators), ids)


def encode_question(prompts: PromptBuilder, question: dict[str, Any], directory: Path) -> Encoded:
    messages = [Message(message["role"], [Image.open(directory / part["image"]) if "image" in part else part["text"]
                                          for part in message["content"]]) for message in question["messages"]]
    return prompts.encode(messages, Options(**question.get("options", {})), generate=True)


def answer_all(model: MiniCpmV, prompts: PromptBuilder, questions: list[dict[str, Any]], directory: Path) -> None:
    """Adds `predicted` and `predicted_ids` to every question. Prompts of one length share a batch."""
    by_length: dict[int, list[tuple[dict[str, Any], Encoded]]] = defaultdict(list)
    for question in questions:
        encoded = encode_question(prompts, question, directory)
        by_length[len(encoded.ids)].append((question, encoded))
    for length, members in by_length.items():
        size = max(1, min(MOST_CONVERSATIONS, MOST_TOKENS // length))
        for start in range(0, len(members), size):
            batch = members[start:start + size]
            _, answers = generate(model, prompts.tokenizer, [encoded for _, encoded in batch], MOST_NEW_TOKENS)
            for (question, _), ids in zip(batch, answers):
                question["predicted"] = prompts.tokenizer.decode(ids, skip_special=False).strip()
                question["predicted_ids"] = ids


def report(questions: list[dict[str, Any]]) -> bool:
    """Prints the table; whether every threshold is met."""
    right, seen = Counter(), Counter()
    for question in questions:
        for key in ((question["category"], question["language"]), (question["category"], "all"), ("all", "all")):
            seen[key] += 1
            right[key] += question["predicted"] == question["answer"]
    print(f"{'category':14}{'en':>16}{'zh':>16}{'all':>16}  threshold")
    passed = True
    for category in [*dict.fromkeys(question["category"] for question in questions), "all"]:
        cells = "".join(f"{right[category, language]:5}/{seen[category, language]:<4}"
                        f"{100 * right[category, language] / seen[category, language]:5.1f}%" if seen[category, language] else " " * 16
                        for language in ("en", "zh", "all"))
        threshold = THRESHOLDS.get(category)
        met = threshold is None or right[category, "all"] >= threshold * seen[category, "all"]
        passed = passed and met
        print(f"{category:14}{cells}  {'' if threshold is None else f'{threshold:.0%} ' + ('met' if met else 'MISSED')}")
    pairs: dict[int, list[bool]] = defaultdict(list)
    for question in questions:
        if "red_blue" in question:
            pairs[question["red_blue"]].append(question["predicted"] == question["answer"])
    held = sum(all(pair) for pair in pairs.values())
    print(f"red and blue told apart in {held} of {len(pairs)} pairs")
    return passed and held == len(pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--threads", type=int, help="threads of the arithmetic on a CPU")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, prompts = load_model(arguments.model, device), PromptBuilder(arguments.model)
    lines = (arguments.questions / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    started = time.monotonic()
    answer_all(model, prompts, questions, arguments.questions)
    print(f"{len(questions)} questions in {time.monotonic() - started:.0f} s on {device}, float32")
    passed = report(questions)
    if arguments.write:
        arguments.write.write_text("".join(json.dumps(question, ensure_ascii=False) + "\n" for question in questions),
                                   encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
