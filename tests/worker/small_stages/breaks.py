"""Fails in a way that nobody thought of."""

from pathlib import Path
from typing import Any

from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    raise ValueError("a secret of the implementation")
