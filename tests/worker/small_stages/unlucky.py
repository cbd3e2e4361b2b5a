"""Finds the engine away."""

from pathlib import Path
from typing import Any

from app.errors import EngineUnavailable
from tests.worker.small_stages import quick
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    if not (inputs.scratch / "tried").exists():
        (inputs.scratch / "tried").touch()
        raise EngineUnavailable("The engine does not answer.")
    return quick.run(inputs, out, progress)
