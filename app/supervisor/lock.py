"""One `ingrain up` a home folder, and where it answers."""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError


class HomeLock:
    """Held while `up` runs. The kernel frees it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self._path = _lock_file(home)
        self._file = -1

    def acquire(self, url: str) -> None:
        """Take the home folder, and tell others that `url` answers.

        Raises:
            ConfigurationError: another process holds it.
        """
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            self._file = -1
            holder = _read(self._path)
            raise ConfigurationError(
                f"{self._path.parent.parent} is in use by process {holder.get('pid', 'unknown')}, "
                f"which answers at {holder.get('url', 'an unknown address')}. Use that one, stop it, or choose another "
                "folder with INGRAIN_HOME."
            ) from None
        os.truncate(self._file, 0)
        os.write(self._file, json.dumps({"pid": os.getpid(), "url": url}).encode())

    def release(self) -> None:
        """Give the home folder back."""
        if self._file >= 0:
            os.truncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def running_url(home: Path) -> str | None:
    """Where the `ingrain up` of this home folder answers; None where none runs."""
    holder = _read(_lock_file(home))
    with contextlib.suppress(KeyError, ValueError, OSError):
        os.kill(int(holder["pid"]), 0)
        return str(holder["url"])
    return None


def _lock_file(home: Path) -> Path:
    return home / "run" / "up.lock"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
