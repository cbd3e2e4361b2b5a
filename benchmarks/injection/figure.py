"""Accuracies with their intervals, as bars in an SVG file: no library, no fonts and nothing fetched."""

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

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="bold" fill="#1f2933">{escape(title)}</text>',
    ]
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
