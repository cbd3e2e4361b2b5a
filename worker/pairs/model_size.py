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
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .safetensors file")
    return sum(_count(file) for file in files)


def _count(file: Path) -> int:
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(length))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
