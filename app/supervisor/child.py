"""Runs a command that cannot outlive its parent: `python -m app.supervisor.child PARENT_PID [--family] COMMAND ...`

On Linux the kernel sees to it, and this process becomes the command. Elsewhere, and where what the command
starts must not outlive the parent either, this process stays, and ends them when the parent that it watches is gone.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from app.interpreter import module_command

_FAMILY = "--family"
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 5.0


def bound_to_this_process(command: Sequence[str], *, with_family: bool = False) -> list[str]:
    """The command that runs `command` and cannot outlive the process that asks.

    Start it from the main thread: Linux takes the end of the thread that started it for the parent's end.

    Args:
        command: what to run.
        with_family: whether what the command starts must not outlive that process either. Then it must be started as
            the leader of a process group, which is ended as a whole.
    """
    family = [_FAMILY] if with_family else []
    return module_command("app.supervisor.child", str(os.getpid()), *family, *command)


def main() -> None:
    """Become the command, or watch over it."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if command[0] == _FAMILY:
        _end_as(watch(parent, command[1:], with_family=True))
    if sys.platform != "linux":
        _end_as(watch(parent, command))
    _die_with_parent(parent)
    os.execvp(command[0], command)  # noqa: S606 (the supervisor's own commands)


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be watched
        os.kill(os.getpid(), signal.SIGKILL)


def _end_as(status: int) -> NoReturn:
    """End as the command did, by the same signal if one ended it: an exit status cannot tell which."""
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def watch(parent: int, command: Sequence[str], *, with_family: bool = False) -> int:
    """Run `command` until it ends or `parent` does, pass SIGTERM on to it, and return its exit status.

    The status is negative if a signal ended it: -9 for SIGKILL.

    With `with_family`, the parent's end is the end of this whole process group, this process with it. The command is
    asked first: vLLM's shared memory would outlive all its processes.
    """
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.poll() is None:
        if os.getppid() != parent:
            if with_family:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_SECONDS)
                time.sleep(_POLL_SECONDS)  # for those that tidy up after it
                os.killpg(os.getpid(), signal.SIGKILL)
            process.kill()
        time.sleep(_POLL_SECONDS)
    return process.returncode


if __name__ == "__main__":
    main()
