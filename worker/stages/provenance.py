"""What an adapter was made with and how its training went, for its report."""

import json
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Final

MOST_POINTS: Final = 200
_PACKAGES: Final = ("ingrain", "torch", "transformers", "peft")

Losses = list[tuple[int, float, float]]
"""(step, distil, retention) in nats a token, as `training.History` has them."""


def versions() -> dict[str, str]:
    """The versions of what trains and examines."""
    return {package: version(package) for package in _PACKAGES}


def losses(training: Path) -> Losses:
    """The losses that distil left in `training.json`, in at most `MOST_POINTS` points."""
    return thinned([(step, distil, kept) for step, distil, kept in json.loads(training.read_text())["loss"]])


def thinned(history: Losses, most: int = MOST_POINTS) -> Losses:
    """At most `most` points: each stands for a run of steps with their mean losses, and has the number of the last."""
    if len(history) <= most:
        return history
    borders = [round(index * len(history) / most) for index in range(most + 1)]
    runs = [history[start:stop] for start, stop in pairwise(borders)]
    return [
        (
            run[-1][0],
            round(sum(distil for _, distil, _ in run) / len(run), 5),
            round(sum(kept for _, _, kept in run) / len(run), 5),
        )
        for run in runs
    ]
