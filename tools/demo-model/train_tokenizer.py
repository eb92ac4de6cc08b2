"""Trains the tokenizer on the questions and answers and writes its files in the form of Qwen2's.

    python3 train_tokenizer.py MODEL_DIRECTORY
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from random import Random

import regex

from phrases import (ANSWERS, COLOUR_NAMES, DIRECTIONS, HELP, LANGUAGES, LINES, NO_PICTURE, PLACES, QUESTIONS, SHAPE_NAMES,
                     SIDES, TALK, Speaker)
from prompt import SYSTEM
from tokenizer import SPLIT, byte_alphabet

MERGES = 1720
SPECIAL = ["<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "</image>", "<ref>", "</ref>", "<box>",
           "</box>", "<quad>", "</quad>", "<point>", "</point>", "<slice>", "</slice>", "<image_id>", "</image_id>",
           *(f"<|reserved_special_token_{index}|>" for index in range(6))]
NAME_STARTS = {name[0] for name in [*COLOUR_NAMES.values(), *SHAPE_NAMES.values()]}
CHAT_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{%- endif -%}"
    "{%- for m in messages -%}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}")


def texts(rng: Random) -> list[str]:
    """The templates filled with colours, shapes and places. Texts to read in pictures are left out, so that no merge
    joins their letters."""
    result = [SYSTEM, "user\n", "assistant\n"]
    for language in LANGUAGES:
        speaker = Speaker(language, rng)
        talk = [text for entry in TALK for part in (entry[0:2] if speaker.english else entry[2:4])
                for text in ([part] if isinstance(part, str) else part)]
        templates = [text for group in QUESTIONS.values() for text in group[language]]
        templates += [group[language] for group in ANSWERS.values()] * 3
        result += [speaker.vary(text) for text in (talk + [HELP[language], NO_PICTURE[language]]) * 20]
        for template in templates:
            result += [speaker.vary(template.format(**words(speaker, rng))) for _ in range(40)]
    result += [' "', '“', '”、', '”。'] * 1000
    return [text for text in result if not text.isupper()]


def words(speaker: Speaker, rng: Random) -> dict[str, str]:
    """A random filling for every field of the templates."""
    kinds = [(rng.choice([None, *COLOUR_NAMES]), rng.choice([None, *SHAPE_NAMES])) for _ in range(4)]
    plural = rng.random() < .4
    return {
        "what": speaker.nouns(*kinds[0]) if plural else speaker.noun(*kinds[0]), "a_what": speaker.a_noun(*kinds[0]),
        "other": speaker.noun(*kinds[1]), "first": speaker.a_noun(*kinds[1]), "second": speaker.a_noun(*kinds[2]),
        "shape": speaker.noun(None, kinds[3][1]), "a_shape": speaker.a_noun(None, kinds[3][1]),
        "list": speaker.join([speaker.a_noun(*kind) for kind in kinds[:rng.randint(1, 4)]]),
        "colour": speaker.colour(rng.choice(list(COLOUR_NAMES))), "side": speaker.side(rng.choice(list(SIDES))),
        "opposite": speaker.side(rng.choice(list(SIDES))), "place": speaker.place(rng.choice(list(PLACES))),
        "direction": speaker.direction(rng.choice(list(DIRECTIONS))), "line": speaker.line(rng.choice(list(LINES))),
        "which": speaker.which(rng.randrange(2)), "count": "", "text": ""}


def may_merge(token: bytes) -> bool:
    """Words with their leading space, capitalised words, marks and some pairs of Chinese characters become tokens.
    Bare runs of letters do not: a text read in a picture must be spelt letter by letter. Nor do pairs that reach into the
    name of a colour or a shape, so that a name has the same tokens wherever it stands."""
    text = token.decode(errors="replace")
    if token.isascii():
        return re.fullmatch(r"[A-Z][a-z]+| [A-Za-z]+|[^A-Za-z]+", text) is not None
    if len(text) < 2 or "\ufffd" in text:
        return len(token) <= 3
    return len(text) == 2 and text[0] not in "色、。：？“”" and text[1] not in NAME_STARTS


def train(corpus: list[str], merges: int) -> list[tuple[bytes, bytes]]:
    """Byte pairs to merge, the most frequent first."""
    counts = Counter(word for text in corpus for word in regex.findall(SPLIT, text))
    pieces = {word: [bytes([byte]) for byte in word.encode()] for word in counts}
    chosen: list[tuple[bytes, bytes]] = []
    while len(chosen) < merges:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, parts in pieces.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        pairs = Counter({pair: count for pair, count in pairs.items() if may_merge(pair[0] + pair[1])})
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        chosen.append(best)
        for parts in pieces.values():
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place:place + 2] = [best[0] + best[1]]
                place += 1
    return chosen


def added_token(content: str) -> dict[str, object]:
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}


def write(directory: Path, merges: list[tuple[bytes, bytes]]) -> None:
    """tokenizer.json, vocab.json, merges.txt and the files that name the special tokens."""
    alphabet = byte_alphabet()

    def shown(token: bytes) -> str:
        return "".join(alphabet[byte] for byte in token)

    vocabulary = {character: index for index, character in enumerate(sorted(alphabet))}
    for first, second in merges:
        vocabulary.setdefault(shown(first + second), len(vocabulary))
    lines = [f"{shown(first)} {shown(second)}" for first, second in merges]
    special = {content: len(vocabulary) + index for index, content in enumerate(SPECIAL)}
    named = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>"}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}

    def put(name: str, value: object, indent: int | None = 1) -> None:
        (directory / name).write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")

    put("tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": index} | added_token(content) for content, index in special.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": [line.split(" ") for line in lines]}})
    put("vocab.json", vocabulary, indent=None)
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n", encoding="utf-8")
    put("added_tokens.json", {content: index for content, index in special.items() if content != "<unk>"})
    put("special_tokens_map.json", {"additional_special_tokens": SPECIAL[4:]} | named)
    put("tokenizer_config.json", {
        "add_prefix_space": False, "additional_special_tokens": SPECIAL[4:], "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False, "errors": "replace", "model_max_length": int(1e30),
        "split_special_tokens": False, "tokenizer_class": "MiniCPMVTokenizerFast",
        "auto_map": {"AutoTokenizer": ["tokenization_minicpmv_fast.MiniCPMVTokenizerFast", None]},
        "added_tokens_decoder": {str(index): added_token(content) for content, index in special.items()}} | named)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    learnt = train(texts(Random("tokenizer")), MERGES)
    write(target, learnt)
    print(f"{len(learnt)} merges, {256 + len(learnt) + len(SPECIAL)} tokens")
