"""The log files of parts: appended to by the part itself, kept small by the supervisor."""

import os
import shutil
from pathlib import Path

_LARGEST_BYTES = 10_000_000


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
