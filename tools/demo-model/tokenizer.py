"""The byte-level BPE tokenizer of Qwen2, read from a checkpoint's tokenizer.json."""

import json
import unicodedata
from pathlib import Path

import regex

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_alphabet() -> list[str]:
    """GPT-2's printable character for each of the 256 bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    characters = {byte: chr(byte) for byte in plain}
    characters |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    return [characters[byte] for byte in range(256)]


class Tokenizer:
    """Encodes text to ids and back. Special tokens in the text are matched, as in a trusted template."""

    def __init__(self, path: Path):
        data = json.loads(path.read_text(encoding="utf-8"))
        self.ids: dict[str, int] = dict(data["model"]["vocab"])
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in data["model"]["merges"]]
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(pairs)}
        self.special: dict[str, int] = {token["content"]: token["id"] for token in data["added_tokens"]}
        self.tokens = {index: token for token, index in (self.ids | self.special).items()}
        self._alphabet = byte_alphabet()
        self._bytes = {character: byte for byte, character in enumerate(self._alphabet)}
        self._split = regex.compile(SPLIT)
        self._split_special = regex.compile("(" + "|".join(map(regex.escape, self.special)) + ")")
        self._cache: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in self._split_special.split(text):
            if piece in self.special:
                ids.append(self.special[piece])
            elif piece:
                for word in self._split.findall(unicodedata.normalize("NFC", piece)):
                    ids.extend(self._encode_word(word))
        return ids

    def decode(self, ids: list[int], skip_special: bool = True) -> str:
        data = bytearray()
        for index in ids:
            token = self.tokens[index]
            if token in self.special:
                data += b"" if skip_special else token.encode()
            else:
                data += bytes(self._bytes[character] for character in token)
        return data.decode("utf-8", errors="replace")

    def _encode_word(self, word: str) -> list[int]:
        if word not in self._cache:
            if len(self._cache) > 50_000:
                self._cache.clear()
            parts = [self._alphabet[byte] for byte in word.encode()]
            while len(parts) > 1:
                candidates = [(self.ranks.get(pair, len(self.ranks)), place)
                              for place, pair in enumerate(zip(parts, parts[1:]))]
                rank, place = min(candidates)
                if rank == len(self.ranks):
                    break
                parts[place:place + 2] = [parts[place] + parts[place + 1]]
            self._cache[word] = [self.ids[part] for part in parts]
        return self._cache[word]
