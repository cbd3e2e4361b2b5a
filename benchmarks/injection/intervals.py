"""95 % bootstrap intervals. Whole passages are drawn: questions about one passage stand or fall together.

Letters: P passages, B draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 2000
_SEED: Final = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def estimate(
    scores: Sequence[Sequence[Sequence[float]]], figure: Callable[[list[Floats]], Floats] = lambda means: means[0]
) -> Estimate:
    """A figure of mean scores, and its percentile interval (Efron 1979) over passages.

    Args:
        scores: for each method, for each passage, its questions' scores. The methods have the same passages and
            questions, and each draw takes the same passages of all of them, so that differences are paired.
        figure: makes the figure of the methods' mean scores over all questions, each an array of B draws.
    """
    sums_MP = [np.array([sum(passage) for passage in method]) for method in scores]
    counts_P = np.array([len(passage) for passage in scores[0]])
    drawn_BP = np.random.default_rng(_SEED).integers(0, len(counts_P), size=(DRAWS, len(counts_P)))
    everything_BP = np.arange(len(counts_P))[None]
    values = [
        figure([sums_P[chosen].sum(axis=1) / counts_P[chosen].sum(axis=1) for sums_P in sums_MP])
        for chosen in (everything_BP, drawn_BP)
    ]
    low, high = np.nanpercentile(values[1], [2.5, 97.5])
    return Estimate(float(values[0][0]), float(low), float(high))


def difference(means: list[Floats]) -> Floats:
    """How much the first method's mean exceeds the second's."""
    return means[0] - means[1]


def recovered(means: list[Floats]) -> Floats:
    """The share of what a teacher knows beyond the base model that a student knows: of student, base and teacher."""
    student, base, teacher = means
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = (student - base) / (teacher - base)
    return np.where(np.isfinite(share), share, np.nan)
