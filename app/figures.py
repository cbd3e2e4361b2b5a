"""Figures for people: shares, spans of time, counts."""


def percent(share: float | None) -> str:
    """0.754 is 75 %; a dash where there is none."""
    return "—" if share is None else f"{share * 100:.0f} %".replace("-", "−")


def duration(seconds: float) -> str:
    """8.2 s, 75 s, 12 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def number(count: int | None) -> str:
    """With a thin space between thousands; a dash where there is none."""
    return "—" if count is None else f"{count:,}".replace(",", "\u2009")


def signed(points: float) -> str:
    """With its sign and one decimal: +1.5, −0.5, 0.0."""
    rounded = round(points, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"
