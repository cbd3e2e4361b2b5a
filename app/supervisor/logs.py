"""The log files of parts: appended to by the part itself, kept small by the supervisor."""

import os
import re
import shutil
from pathlib import Path

_LARGEST_BYTES = 10_000_000
_LONGEST_MESSAGE = 120
# "(EngineCore pid=7) INFO 11-25 19:05:51 [loader.py:9] Loading" and "INFO:     Started" to what they say.
_BEFORE_MESSAGE = re.compile(r"^(\(\S+ pid=\d+\) *)?([A-Z]+:? +)?(\d\S* \d\S* +)?(\[\S+\] *)?")


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


def last_message(path: Path, since: int = 0) -> str:
    """What a log says last, from the byte `since` on: one line, cut, without process, level, time and place."""
    lines = last_lines(path, since=since).splitlines()
    said = (_BEFORE_MESSAGE.sub("", line).strip() for line in reversed(lines))
    return next((text[:_LONGEST_MESSAGE] for text in said if any(map(str.isalpha, text))), "")
