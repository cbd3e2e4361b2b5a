"""A fingerprint of a base model's folder: the same for the same answers, whatever the folder is called.

It covers what decides the answers: the configuration, the tokenizer's files, the chat template, the tokens that end an
answer, and the weights. Hashing all weights at every stage would take minutes for a large model, so of these it takes
each file's size, its safetensors header (names, types, shapes, offsets) and 64 KiB at each of 128 places that are
spread evenly over all of them, 8 MiB in all; up to 8 MiB of weights are hashed whole. Another training, merge, data
type or quantisation changes numbers everywhere and is found; a change of a few numbers between the places is not.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_FILES: Final = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_NOTED: Final = {"config.json", "generation_config.json", "tokenizer_config.json"}
_NOTES: Final = {"_name_or_path", "name_or_path", "transformers_version"}  # who wrote the file, and from where
_PLACES: Final = 128
_PIECE_BYTES: Final = 64 * 1024
_LENGTH_BYTES: Final = 8  # at a safetensors file's beginning: the length of the header that follows
_LONGEST_HEADER_BYTES: Final = 100_000_000  # as safetensors has it; in a damaged file the length may be anything


def fingerprint(folder: Path, weights: Sequence[Path]) -> str:
    """`sha256:` and 64 hexadecimal digits.

    Args:
        folder: the base model, in the Hugging Face layout.
        weights: its safetensors files, each in this folder. One that is damaged has a fingerprint as well.
    """
    digest = hashlib.sha256()
    for name in _FILES:
        if (folder / name).is_file():
            digest.update(_entry(name, _content(folder / name)))
    total = sum(file.stat().st_size for file in weights)
    step = max(_PIECE_BYTES, total // _PLACES)
    for file in sorted(weights):
        digest.update(_entry(file.name, _sample(file, step)))
    return f"sha256:{digest.hexdigest()}"


def _entry(name: str, content: bytes) -> bytes:
    """A file's name and content, with the length between, so that no two lists of files read alike."""
    return f"{name}\n{len(content)}\n".encode() + content


def _content(file: Path) -> bytes:
    """The file's bytes; of settings that note who wrote them, all but those notes."""
    content = file.read_bytes()
    if file.name not in _NOTED:
        return content
    try:
        settings = json.loads(content)
    except ValueError:
        return content  # whoever loads the model says what is wrong with it
    if not isinstance(settings, dict):
        return content
    kept = {name: value for name, value in settings.items() if name not in _NOTES}
    return json.dumps(kept, sort_keys=True).encode()


def _sample(file: Path, step: int) -> bytes:
    """The size and the header of a safetensors file, and a piece of it every `step` bytes and at its end."""
    size = file.stat().st_size
    starts = [*range(0, size, step), max(0, size - _PIECE_BYTES)]
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(_LENGTH_BYTES), "little")
        parts = [f"{size}\n".encode(), handle.read(min(length, size, _LONGEST_HEADER_BYTES))]
        for start in starts:
            handle.seek(start)
            parts.append(handle.read(_PIECE_BYTES))
    return b"".join(parts)
