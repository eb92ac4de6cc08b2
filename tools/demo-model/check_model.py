"""Checks this directory's model, preprocessing and prompts against reference vectors of the original.

    python3 check_model.py CONFORMANCE_DIRECTORY
"""

import hashlib
import json
import sys
from pathlib import Path

from PIL import Image

from evaluate import generate
from model import load_model, position_buckets, read_safetensors
from preprocess import SliceSettings, cut, plan_slices
from prompt import Message, Options, PromptBuilder


def check_preprocessing(root: Path) -> None:
    for case in json.loads((root / "slices.json").read_text()):
        plan = plan_slices(case["w"], case["h"], SliceSettings(max_slice_nums=case["max_slice_nums"]))
        expected = [tuple(case[key]) if case[key] else None for key in ("grid", "overview", "refine")]
        assert [plan.grid, plan.overview, plan.refined] == expected, case
    for case in json.loads((root / "preprocess.json").read_text()):
        slices, _ = cut(Image.open(root / "images" / case["image"]), SliceSettings(max_slice_nums=case["max_slice_nums"]))
        digests = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in slices]
        assert digests == [entry["rgb_sha256"] for entry in case["slices"]], case["image"]
    table = position_buckets(70)
    for count, expected in enumerate(json.loads((root / "navit_buckets.json").read_text()), start=1):
        assert table[count, :count].tolist() == expected, count


def check_chat(root: Path) -> None:
    model = load_model(root / "checkpoint")
    prompts = PromptBuilder(root / "checkpoint")
    vectors = read_safetensors(root / "chat.safetensors")
    for case in json.loads((root / "chat.json").read_text()):
        name, options = case["name"], case["options"]
        if "max_inp_length" in options:
            continue  # cut prompts are no business of this model
        messages = [Message(turn["role"], [Image.open(root / "images" / part["image"]) if "image" in part
                                           else part["text"] for part in turn["content"]]) for turn in case["turns"]]
        if options.get("system_prompt"):
            messages.insert(0, Message("system", [options["system_prompt"]]))
        encoded = prompts.encode(messages, Options(options.get("max_slice_nums"), options.get("use_image_id", True)),
                                 generate=True)
        assert encoded.ids == case["input_ids"], name
        logits, answers = generate(model, prompts.tokenizer, [encoded], max_new_tokens=24)
        reference = vectors[f"{name}.logits_last"]
        error = ((logits[0] - reference).norm() / reference.norm()).item()
        same = answers[0] == case["greedy"][:len(answers[0])]
        print(f"{name:24} relative error of the logits {error:.1e}, greedy tokens {'equal' if same else 'DIFFER'}")
        assert error < 1e-4 and same, name


if __name__ == "__main__":
    check_preprocessing(Path(sys.argv[1]))
    print("slice plans, resized pixels and position buckets are equal")
    check_chat(Path(sys.argv[1]))
