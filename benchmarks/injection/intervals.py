"""95 % bootstrap intervals over seeds and passages. Whole passages are drawn: their questions stand or fall together.

Letters: S seeds, P passages, B draws.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.intervals import paired

DRAWS: Final = 2000
_SEED: Final = 0

Floats = NDArray[np.float64]


Scores = Sequence[Sequence[Sequence[float]]]
"""Of a method: for each seed, for each passage, its questions' scores."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; not a number where it is undefined."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """As JSON has it, which knows null and no NaN."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def estimate(scores: Sequence[Scores], figure: Callable[[list[Floats]], Floats] = lambda means: means[0]) -> Estimate:
    """A figure of mean scores, and its percentile interval (Efron 1979) over seeds and passages.

    Args:
        scores: of each method. All have the same seeds, passages and questions, and each draw takes the same ones of
            all of them, so that differences are paired.
        figure: makes the figure of the methods' mean scores over all questions, each an array of B draws.
    """
    sums_MSP = [np.array([[sum(passage) for passage in seed] for seed in method]) for method in scores]
    counts_P = np.array([len(passage) for passage in scores[0][0]])
    chance = np.random.default_rng(_SEED)
    seeds, passages = sums_MSP[0].shape
    drawn_BS = chance.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS)
    drawn_BP = chance.multinomial(passages, np.full(passages, 1 / passages), size=DRAWS)

    def figures(by_seed: NDArray[Any], by_passage: NDArray[Any]) -> Floats:
        """Of weighted seeds and passages: a row a draw."""
        counts = seeds * by_passage @ counts_P
        return figure([((by_seed @ sums_SP) * by_passage).sum(axis=1) / counts for sums_SP in sums_MSP])

    values = [figures(np.ones((1, seeds)), np.ones((1, passages))), figures(drawn_BS, drawn_BP)]
    found = values[1][~np.isnan(values[1])]
    low, high = np.percentile(found, [2.5, 97.5]) if len(found) else (math.nan, math.nan)
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


def lost_points(retentions: Sequence[Mapping[str, Any]]) -> Estimate:
    """How many points of the general questions were lost, on average over seeds, with the mean of their intervals.

    All seeds are asked the same questions, so more of them do not make the interval narrower.

    Args:
        retentions: of each seed, as `worker.stages.retained` has it.
    """
    rows = []
    for found in retentions:
        lost = len(found["lost"])
        low, high = paired(lost, lost - (found["base_right"] - found["adapter_right"]), found["prompts"])
        rows.append((found["lost_points"], 100 * low, 100 * high))
    return Estimate(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def gained(lost: Estimate) -> str:
    """Points won, or lost where they are less than 0."""
    return f"{0 - lost.value:+.1f} ({0 - lost.high:+.1f} to {0 - lost.low:+.1f})"
