"""Our own modules as commands: what every process that is started from Python begins with."""

import sys


def module_command(module: str, *words: str) -> list[str]:
    """The command that runs `module` with this Python.

    With -P, because `python -m` would look in the current folder first: a user's own `app/`, `worker/` or `queue.py`
    there must not take the place of what is installed.
    """
    return [sys.executable, "-P", "-m", module, *words]
