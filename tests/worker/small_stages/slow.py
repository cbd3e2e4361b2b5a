"""Works, with a child process, until the file `go` is in the home folder; each start leaves a line in its scratch."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from app.settings import get_settings
from tests.worker.small_stages import quick
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    child = subprocess.Popen(["sleep", "600"])
    home = get_settings().home
    (home / "pids.partial").write_text(json.dumps([os.getpid(), child.pid]))
    (home / "pids.partial").rename(home / "pids")
    with (inputs.scratch / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    done = 0
    while not (home / "go").exists():
        done += 1
        progress(done, 10_000)
        time.sleep(0.05)
    child.kill()
    return {**quick.run(inputs, out, progress), "starts": len((inputs.scratch / "starts").read_text().split())}
