"""How many cores there are to compute on."""

import os


def usable_cores() -> int:
    """The cores that this process may use, which containers and `taskset` cut down; all where the system won't say.

    OMP_NUM_THREADS, where it is set to a number, is the most.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(most)) if most.isdecimal() and int(most) else cores
