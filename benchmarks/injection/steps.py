"""Steps that leave a folder, so that a run which was stopped goes on after the last finished one."""

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_SECONDS_FILE: Final = "seconds.json"
_QUIET_SECONDS: Final = 20.0

Tell = Callable[[int, int], None]
"""Told what is done, and of how much."""


def once(folder: Path, name: str, make: Callable[[Path, Tell], object]) -> float:
    """Make a folder unless it is there. Returns the seconds that the making of it took, then or now."""
    if not (folder / _SECONDS_FILE).is_file():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.mkdir(parents=True)
        began = time.monotonic()
        make(unfinished, teller(name))
        seconds = time.monotonic() - began
        (unfinished / _SECONDS_FILE).write_text(json.dumps(round(seconds, 1)))
        unfinished.rename(folder)
        say(f"{name}: done in {seconds:.0f} s")
    else:
        say(f"{name}: there already")
    return float(json.loads((folder / _SECONDS_FILE).read_text()))


def be_quiet() -> None:
    """Let libraries log warnings only."""
    logging.basicConfig(level=logging.WARNING, force=True)


def say(line: str) -> None:
    """A line with the time before it."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


def teller(name: str) -> Tell:
    """Says how far something is, now and then."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _QUIET_SECONDS:
            last = time.monotonic()
            say(f"{name}: {done} of {total}")

    return tell
