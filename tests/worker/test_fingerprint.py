"""Fingerprints of base models: what changes them, and what does not."""

import json
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny import make_base
from worker.fingerprint import fingerprint

PIECE = 64 * 1024


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_base(tmp_path / "tiny")


def of(folder: Path) -> str:
    return fingerprint(folder, sorted(folder.glob("*.safetensors")))


def _edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes, indent=1))


def _flip(file: Path, place: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(place)
        byte = handle.read(1)
        handle.seek(place)
        handle.write(bytes([byte[0] ^ 1]))


def test_the_same_files_have_the_same_fingerprint_wherever_and_whenever(tiny: Path, tmp_path: Path) -> None:
    expected = of(tiny)
    assert len(expected) == len("sha256:") + 64
    shutil.copytree(tiny, tmp_path / "elsewhere")
    for file in (tmp_path / "elsewhere").iterdir():
        os.utime(file, (0, 0))
    assert of(tmp_path / "elsewhere") == expected


def test_what_changes_no_answer_does_not_count(tiny: Path) -> None:
    expected = of(tiny)
    (tiny / "README.md").write_text("A model.")
    (tiny / "picture.png").write_bytes(b"\x89PNG")
    _edit(tiny / "config.json", transformers_version="9.9", _name_or_path="/somebody/else")
    assert of(tiny) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: _edit(folder / "config.json", rope_theta=1.0),
        lambda folder: _edit(folder / "generation_config.json", eos_token_id=7),
        lambda folder: _edit(folder / "tokenizer_config.json", add_bos_token=True),
        lambda folder: _edit(folder / "tokenizer.json", truncation={"max_length": 3}),
        lambda folder: (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}"),
        lambda folder: (folder / "special_tokens_map.json").write_text("{}"),
        lambda folder: _flip(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size // 2),
        lambda folder: make_base(folder, seed=1),
        lambda folder: make_base(folder, hidden=32),
        lambda folder: (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors"),
    ],
    ids=["config", "end", "tokenizer settings", "tokenizer", "template", "new file", "a bit", "seed", "size", "shards"],
)
def test_what_decides_the_answers_counts(tiny: Path, change: Callable[[Path], object]) -> None:
    before = of(tiny)
    change(tiny)
    assert of(tiny) != before


def test_large_weights_are_sampled_in_less_than_a_second(tiny: Path) -> None:
    """Files with holes pass for weights of 16 GB: header, spread places and the end count, in every file."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    (tiny / "model.safetensors").unlink()
    shards = [tiny / f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for shard in shards:
        shard.write_bytes(struct.pack("<Q", len(header)) + header)
        os.truncate(shard, 8_000_000_000)
    began = time.perf_counter()
    seen = {of(tiny)}
    assert time.perf_counter() - began < 1
    for shard in shards:
        for place in (10, 125_000_000 * 30, 8_000_000_000 - 1):
            _flip(shard, place)
            seen.add(of(tiny))
    os.truncate(shards[1], 8_000_000_001)
    seen.add(of(tiny))
    assert len(seen) == 8
    _flip(shards[0], 125_000_000 * 30 + 2 * PIECE)
    assert of(tiny) in seen, "between the places nothing is read"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 20])
def test_damaged_weights_have_a_fingerprint_too(tiny: Path, content: bytes) -> None:
    before = of(tiny)
    (tiny / "model.safetensors").write_bytes(content)
    assert of(tiny) != before
