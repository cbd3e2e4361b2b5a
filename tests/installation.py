"""An installation in processes of its own, as a user starts it: `ingrain up` and the other commands."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tiny import make_base


@dataclass
class Installation:
    """A home folder with a tiny base model, and what can be run on it."""

    home: Path
    model: Path
    url: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing configured but where things are, whatever the tests themselves run with."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("INGRAIN_")}
        mine = {"INGRAIN_HOME": str(self.home), "INGRAIN_BASE_MODEL": str(self.model)}
        return clean | mine | self.extra

    def run(self, *words: str, text: str | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `ingrain` with these words."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *words],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def rows(self, *words: str, text: str | None = None) -> list[dict[str, Any]]:
        """Run `ingrain … --json`, which must succeed; its JSON lines."""
        done = self.run(*words, "--json", text=text)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def processes(self) -> dict[int, str]:
        """The processes that belong to this home folder or one inside it: process id -> command line."""
        mark = f"INGRAIN_HOME={self.home}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    variables = (entry / "environ").read_bytes().split(b"\0")
                    if any(variable.startswith(mark) for variable in variables):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:  # it ended meanwhile
                    continue
        return found

    def process_of(self, words: str) -> int | None:
        """The process whose command line has these words."""
        return next((number for number, command in self.processes().items() if words in command), None)

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """Inside, no job gets on, however fast the machine is."""
        wait_until(lambda: self.process_of("worker.main"), "a worker is there")
        worker = self.process_of("worker.main")
        assert worker
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)


class Up:
    """A running `ingrain up --json`."""

    def __init__(self, installation: Installation, *words: str) -> None:
        self.installation = installation
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "up", "--json", *words],
            env=installation.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next notice of this kind."""
        assert self.process.stdout
        for line in self.process.stdout:
            notice: dict[str, Any] = json.loads(line)
            if notice["event"] == event:
                return notice
        errors = self.process.stderr.read() if self.process.stderr else ""
        raise AssertionError(f"`up` ended before {event!r}: {errors}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode


@contextmanager
def installed(**extra: str) -> Iterator[Installation]:
    """A fresh home folder. Nothing may be left running on it."""
    folder = Path(tempfile.mkdtemp(prefix="ingrain-"))
    installation = Installation(folder / "home", make_base(folder / "tiny"), extra=extra)
    try:
        yield installation
    finally:
        for number in installation.processes():
            os.kill(number, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(installation: Installation, *words: str) -> Iterator[Up]:
    """The installation, up and ready on a free port."""
    up = Up(installation, "--port", "0", *words)
    try:
        installation.url = up.wait_for("ready")["url"]
        yield up
    finally:
        if up.process.poll() is None:
            up.end()


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for something that other processes do."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)
