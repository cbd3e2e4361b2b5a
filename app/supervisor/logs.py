"""The log files of parts: appended to by the part itself, kept small by the supervisor."""

import os
import re
import shutil
from pathlib import Path

_LARGEST_BYTES = 10_000_000
_LONGEST_MESSAGE = 120
# "(EngineCore pid=7) INFO 11-25 19:05:51 [loader.py:9] Loading" and "INFO:     Started" to what they say.
_BEFORE_MESSAGE = re.compile(r"^(\(\S+ pid=\d+\) *)?([A-Z]+:? +)?(\d\S* \d\S* +)?(\[\S+\] *)?")
# How a start goes on. Other lines, as vLLM's "Model Runner V2 requires Triton", would look like the reason to wait.
_PROGRESS = re.compile(
    "(waiting for )?application startup|(graph )?capturing|compiling|torch.compile|initializing|loading|start(ing|ed)",
    re.IGNORECASE,
)


def rotate(path: Path, largest: int = _LARGEST_BYTES) -> None:
    """Move what a log has to `<name>.log.1` when it is too large.

    The part goes on writing to the same file, which it appends to, so the file is copied and emptied, not renamed.
    """
    if path.exists() and path.stat().st_size > largest:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def last_lines(path: Path, count: int = 12, since: int = 0) -> str:
    """The last lines of a log, from the byte `since` on, for people to read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, since if since <= size else 0, size - 20_000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


def last_progress(path: Path, since: int = 0) -> str:
    """How a part's start goes on, as its log says last, from the byte `since` on; empty where it says something else.

    One line, cut, without process, level, time and place.
    """
    lines = last_lines(path, since=since).splitlines()
    said = (_BEFORE_MESSAGE.sub("", line).strip() for line in reversed(lines))
    last = next((text for text in said if any(map(str.isalpha, text))), "")
    return last[:_LONGEST_MESSAGE] if _PROGRESS.match(last) else ""
