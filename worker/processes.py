"""A stage's process, seen from the worker: started, listened to, and ended with all that it started."""

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from app.interpreter import module_command
from worker.owner import process_name

TASK_FILE: Final = "task.json"
RESULT_FILE: Final = "result.json"
ERROR_FILE: Final = "error.json"
OUT_FOLDER: Final = "out"
FETCHED_FOLDER: Final = "fetched"  # beside the stages' folders: what was downloaded from a remote store
_PROCESS_FILE: Final = "process"


class StageProcess:
    """`python -m worker.stage_process FOLDER`, as the leader of a process group of its own.

    Attributes:
        progress: the last (done, total) that the stage told; None before the first.
    """

    def __init__(self, folder: Path, log_file: Path) -> None:
        self.progress: tuple[int, int] | None = None
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                module_command("worker.stage_process", str(folder)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        (folder / _PROCESS_FILE).write_text(process_name(self._process.pid) or "")
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def wait(self, seconds: float) -> int | None:
        """Its exit status (negative: the signal that ended it), or None if it still runs after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_seconds: float) -> None:
        """End it and its children: SIGTERM, and SIGKILL after `grace_seconds`. Does nothing to one that has ended."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self.wait(grace_seconds)
        self._signal(signal.SIGKILL)  # also what the leader left behind
        self._process.wait()
        self._reader.join(timeout=5)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                with suppress(ValueError, KeyError, TypeError):
                    told: dict[str, Any] = json.loads(line)
                    self.progress = (int(told["done"]), int(told["total"]))


def end_leftover(folder: Path, grace_seconds: float) -> None:
    """End the process of a worker that is gone, which may still work in `folder`, before another takes its place."""
    try:
        name = (folder / _PROCESS_FILE).read_text()
    except FileNotFoundError:
        return
    _, _, rest = name.partition(":")
    pid = rest.partition(":")[0]
    if not pid.isdigit() or process_name(int(pid)) != name:
        return
    with suppress(ProcessLookupError):
        os.killpg(int(pid), signal.SIGKILL)
    gone = threading.Event()
    for _attempt in range(int(max(1.0, grace_seconds) * 20)):
        if process_name(int(pid)) != name:
            return
        gone.wait(0.05)


def exit_reason(status: int) -> str:
    """Why a process ended, in words."""
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name if -status in signal.valid_signals() else str(-status)
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was killed by the signal {name}{hint}"
