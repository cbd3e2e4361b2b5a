"""How many cores there are to compute on."""

import os


def usable_cores() -> int:
    """The cores that this process may use, which containers and `taskset` cut down; all where the system won't say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
