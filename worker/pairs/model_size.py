"""How many parameters a model folder holds, from the headers of its safetensors files: no tensor is loaded."""

import json
import math
import struct
from pathlib import Path


def parameters_of(folder: Path) -> int:
    """Parameters of the model in a local folder in the Hugging Face layout.

    Raises:
        FileNotFoundError: it holds no safetensors file.
    """
    files = weight_files(folder)
    if not files:
        raise FileNotFoundError(f"{folder} holds no .safetensors file")
    return sum(_count(file) for file in files)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a model consists of, of which those that its index names may be missing.

    Some repositories hold all weights a second time, in one file for other programs.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / shard for shard in sorted(set(shards))]
    return sorted(folder.glob("*.safetensors"))


def _count(file: Path) -> int:
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(length))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
