"""Ignores the request to stop."""

import signal
from pathlib import Path
from typing import Any

from tests.worker.small_stages import slow
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return slow.run(inputs, out, progress)
