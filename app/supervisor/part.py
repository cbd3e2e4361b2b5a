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
from app.supervisor.logs import last_lines, last_progress


@dataclass(slots=True)
class Part:
    """A process that the supervisor keeps running.

    Attributes:
        address: where it answers, for people.
        log: the file that its output is appended to.
        check: says why it is not ready, or None when it is. Without one it is ready as soon as it runs.
        check_life: says why it does not work, or None when it does, whatever the other parts do. Without one it is
            taken to work while it runs.
        has_family: whether it starts processes that would outlive it and the supervisor.
        grace_seconds: between SIGTERM and SIGKILL.
        failures: how often in a row it died soon after its start.
        restart_at: when it is started again (monotonic); None while it runs.
        looked_at: when `look` was called last (monotonic).
        complaint: why it did not work then.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    log: Path
    check: Callable[[], str | None] | None = None
    check_life: Callable[[], str | None] | None = None
    has_family: bool = False
    grace_seconds: float = 10.0
    failures: int = 0
    restart_at: float | None = None
    started_at: float = 0.0
    looked_at: float = 0.0
    complaint: str | None = None
    _worked_at: float | None = None
    _process: subprocess.Popen[bytes] | None = None
    _log_start: int = 0
    _is_swept: bool = True

    def start(self) -> None:
        """Run it, in a session of its own: a Ctrl-C in the terminal reaches the supervisor alone."""
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                bound_to_this_process(self.command, with_family=self.has_family),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = self.looked_at = time.monotonic()
        self.restart_at = self._worked_at = self.complaint = None
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

    def look(self) -> None:
        """Note whether it works now."""
        self.complaint = self.check_life() if self.check_life else None
        self.looked_at = time.monotonic()
        if self.complaint is None:
            self._worked_at = self.looked_at

    @property
    def has_worked(self) -> bool:
        """Whether it was seen to work since its start."""
        return self._worked_at is not None

    @property
    def idle_seconds(self) -> float:
        """How long it has not worked: since it last did, or since its start."""
        return self.looked_at - (self._worked_at or self.started_at)

    def how_it_ended(self) -> str:
        """For people: 'ended with status 1', 'was ended by SIGKILL'."""
        code = self._process.poll() if self._process else None
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def last_words(self) -> str:
        """The last lines that it logged since its start."""
        return last_lines(self.log, since=self._log_start)

    def doing(self) -> str:
        """How its start goes on, as it logged last; empty where it logged something else."""
        return last_progress(self.log, since=self._log_start)

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
