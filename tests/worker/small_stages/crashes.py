"""Is killed by the system, as when memory runs out."""

import os
import signal
from pathlib import Path
from typing import Any

from tests.worker.small_stages import quick
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    starts = inputs.scratch / "starts"
    starts.write_text((starts.read_text() if starts.exists() else "") + "x")
    if len(starts.read_text()) < int(os.environ.get("CRASHES", "1000")) + 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return quick.run(inputs, out, progress)
