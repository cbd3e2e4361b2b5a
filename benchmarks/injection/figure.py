"""Accuracies with their intervals, as bars or lines in an SVG file: no library, no fonts and nothing fetched."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from benchmarks.injection.intervals import Estimate

_WIDTH: Final = 640
_ROW: Final = 34
_LEFT: Final = 110
_RIGHT: Final = 70
_TOP: Final = 56
_BOTTOM: Final = 34


def bars(title: str, rows: Sequence[tuple[str, Estimate]]) -> str:
    """An SVG with a bar a row, from 0 to 100 %, and a whisker for its interval."""
    span = _WIDTH - _LEFT - _RIGHT
    height = _TOP + _ROW * len(rows) + _BOTTOM

    def across(share: float) -> float:
        return round(_LEFT + span * share, 1)

    parts = _beginning(title, height)
    for percent in range(0, 101, 20):
        x = across(percent / 100)
        parts += [
            f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - _BOTTOM + 2}" stroke="#d9dee4"/>',
            f'<text x="{x}" y="{height - 12}" text-anchor="middle" fill="#52606d">{percent}</text>',
        ]
    for number, (name, accuracy) in enumerate(rows):
        y = _TOP + _ROW * number
        middle = y + _ROW / 2 - 4
        parts += [
            f'<text x="{_LEFT - 10}" y="{middle + 5}" text-anchor="end" fill="#1f2933">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{round(span * accuracy.value, 1)}" height="{_ROW - 10}" '
            'fill="#3b7dd8"/>',
            f'<line x1="{across(accuracy.low)}" y1="{middle}" x2="{across(accuracy.high)}" y2="{middle}" '
            'stroke="#102a43" stroke-width="2"/>',
            f'<text x="{across(accuracy.high) + 8}" y="{middle + 5}" fill="#1f2933">{100 * accuracy.value:.1f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


_COLOURS: Final = ("#3b7dd8", "#d97b29", "#2f8f5b", "#8a4fbf")
_PLOT: Final = 260


def lines(
    title: str,
    across: str,
    series: Sequence[tuple[str, Sequence[tuple[float, Estimate]]]],
    levels: Sequence[tuple[str, float]],
) -> str:
    """An SVG with a line a series over a logarithmic axis, a whisker at each point, and levels to compare with.

    Args:
        title: above it.
        across: what the axis shows.
        series: names, and points (x > 0, the accuracy there).
        levels: names, and the accuracies 0..1 at which a dashed line runs across.
    """
    places = sorted({x for _, points in series for x, _ in points})
    span = _WIDTH - _LEFT - _RIGHT
    low, high = math.log(places[0]), math.log(places[-1])
    height = _TOP + _PLOT + _BOTTOM + 24 + 20 * len(series)

    def right(x: float) -> float:
        return round(_LEFT + span * ((math.log(x) - low) / (high - low) if high > low else 0.5), 1)

    def down(share: float) -> float:
        return round(_TOP + _PLOT * (1 - share), 1)

    parts = _beginning(title, height)
    for percent in range(0, 101, 20):
        y = down(percent / 100)
        parts += [
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#d9dee4"/>',
            f'<text x="{_LEFT - 10}" y="{y + 5}" text-anchor="end" fill="#52606d">{percent}</text>',
        ]
    parts += [
        f'<text x="{right(x)}" y="{_TOP + _PLOT + 20}" text-anchor="middle" fill="#52606d">{x:g}</text>' for x in places
    ]
    parts.append(
        f'<text x="{_LEFT + span / 2}" y="{_TOP + _PLOT + 42}" text-anchor="middle" fill="#1f2933">'
        f"{escape(across)}</text>"
    )
    for name, share in levels:
        y = down(share)
        parts += [
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#52606d" stroke-dasharray="5 4"/>',
            f'<text x="{_WIDTH - _RIGHT + 6}" y="{y + 5}" fill="#1f2933">{escape(name)}</text>',
        ]
    for number, (name, points) in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{right(x)},{down(accuracy.value)}" for x, accuracy in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, accuracy in points:
            parts += [
                f'<line x1="{right(x)}" y1="{down(accuracy.low)}" x2="{right(x)}" y2="{down(accuracy.high)}" '
                f'stroke="{colour}"/>',
                f'<circle cx="{right(x)}" cy="{down(accuracy.value)}" r="4" fill="{colour}"/>',
            ]
        y = height - 10 - 20 * (len(series) - 1 - number)
        parts += [
            f'<circle cx="{_LEFT}" cy="{y - 5}" r="4" fill="{colour}"/>',
            f'<text x="{_LEFT + 12}" y="{y}" fill="#1f2933">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _beginning(title: str, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="bold" fill="#1f2933">{escape(title)}</text>',
    ]
