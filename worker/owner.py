"""Who holds a lease: a name for a process that tells whether it still runs."""

import os
import socket
from pathlib import Path


def process_name(pid: int) -> str | None:
    """A name for a process that no other will have: machine, pid and start time; None if it is not running.

    The machine is its host name, boot and PID namespace: hosts and containers may share a host name, and the first
    PID namespace of a boot has the same number everywhere.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return f"{_machine()}:{pid}:{_start_time(pid)}"


def owner_is_gone(owner: str | None) -> bool:
    """Whether the worker that took a lease has surely ended: it ran on this machine, and runs no more."""
    if not owner or owner.count(":") < 2:
        return False
    machine, pid, _ = owner.rsplit(":", 2)
    return machine == _machine() and pid.isdigit() and process_name(int(pid)) != owner


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = "-"
    try:
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        namespace = "-"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_time(pid: int) -> str:
    """When a process started, in ticks since boot; "-" where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "-"
    return fields[19] if fields[0] != "Z" else "ended"
