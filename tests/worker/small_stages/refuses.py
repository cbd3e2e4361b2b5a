"""Fails in a way that the user can act on."""

from pathlib import Path
from typing import Any

from app.errors import StageError
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    progress(1, 3)
    (out / "half.json").write_text("{}")
    raise StageError("No question could be kept: the document says nothing. Post a longer one.")
