"""Where the marks of the report's plots go, in per cent of the plot; the template draws them as SVG.

Our own, since a line and some bars are all that is needed: plotting libraries draw a font's size and the colours of a
theme into the picture, and these here scale with the page and follow its light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.adapters.report_schemas import LossPoint

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label beside an axis; `at` is its distance from the axis' beginning."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The losses of a training.

    Attributes:
        distil: points of a polyline, "x,y x,y …", with y from the top.
        retention: the same; empty where nothing was kept.
        steps: ticks from the left.
        nats: ticks from the bottom.
    """

    distil: str
    retention: str
    steps: list[Tick]
    nats: list[Tick]


def loss_curve(points: Sequence[LossPoint]) -> Curve | None:
    """The curve; None where there are too few points for one."""
    if len(points) < 2:
        return None
    keeps = any(point.retention > 0 for point in points)
    highest = max(max(point.distil, point.retention) for point in points)
    nats = _round_ticks(highest)
    top = nats[-1]
    first, last = points[0].step, points[-1].step

    def across(step: int) -> float:
        return round(100 * (step - first) / (last - first), 2)

    def line(values: Sequence[float]) -> str:
        heights = (round(100 - 100 * max(0.0, value) / top, 2) for value in values)
        return " ".join(f"{across(point.step)},{height}" for point, height in zip(points, heights, strict=True))

    return Curve(
        distil=line([point.distil for point in points]),
        retention=line([point.retention for point in points]) if keeps else "",
        steps=[Tick(across(step), str(step)) for step in sorted({first, (first + last) // 2, last})],
        nats=[Tick(round(100 * value / top, 2), f"{value:g}") for value in nats],
    )


def _round_ticks(highest: float) -> list[float]:
    """Up to six round values from 0 to one that is not below `highest`."""
    wanted = max(highest, 1e-6) / 4
    size = 10.0 ** math.floor(math.log10(wanted))
    step = next(size * factor for factor in _STEPS if size * factor >= wanted)
    return [round(index * step, 10) for index in range(math.ceil(highest / step) + 1)] if highest > 0 else [0.0, 1.0]
