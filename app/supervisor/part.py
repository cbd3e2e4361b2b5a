"""One process of the embedded installation, with its log file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.supervisor.child import bound_to_this_process
from app.supervisor.logs import last_lines


@dataclass(slots=True)
class Part:
    """A process that the supervisor keeps running.

    Attributes:
        address: where it answers, for people.
        log: the file that its output is appended to.
        check: says why it is not ready, or None when it is. Without one it is ready as soon as it runs.
        grace_seconds: between SIGTERM and SIGKILL.
        failures: how often in a row it died soon after its start.
        restart_at: when it is started again (monotonic); None while it runs.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    log: Path
    check: Callable[[], str | None] | None = None
    grace_seconds: float = 10.0
    failures: int = 0
    restart_at: float | None = None
    started_at: float = 0.0
    _process: subprocess.Popen[bytes] | None = None
    _log_start: int = 0
    _is_swept: bool = True

    def start(self) -> None:
        """Run it, in a session of its own: a Ctrl-C in the terminal reaches the supervisor alone."""
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                bound_to_this_process(self.command),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        self.restart_at = None
        self._is_swept = False

    @property
    def pid(self) -> int | None:
        """Its process; None while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.pid is not None

    def why_not_ready(self) -> str | None:
        """Why it does not answer yet; None when it does."""
        if not self.is_running:
            return "not running"
        return self.check() if self.check else None

    def how_it_ended(self) -> str:
        """For people: 'ended with status 1', 'was ended by SIGKILL'."""
        code = self._process.poll() if self._process else None
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def last_words(self) -> str:
        """The last lines that it logged since its start."""
        return last_lines(self.log, since=self._log_start)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.is_running and self._process:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once, and whatever it started that is left in its session. Nothing happens the second time."""
        if self._process is None or self._is_swept:
            return
        # macOS answers EPERM for a group that has only ended members.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._is_swept = True
