import pytest

from app.intervals import paired, wilson


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [
        (0, 12, 0.0, 0.2425),  # as R's binom.confint(method = "wilson") has them
        (9, 12, 0.4677, 0.9111),
        (12, 12, 0.7575, 1.0),
        (50, 100, 0.4038, 0.5962),
        (0, 0, 0.0, 1.0),
    ],
)
def test_known_intervals(right: int, of: int, low: float, high: float) -> None:
    assert wilson(right, of) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("lost", "won", "of", "low", "high"),
    [
        (17, 13, 200, -0.0342, 0.0738),  # 4 of 202 -+ 1.96 times the root of 31 - 16 / 202, of 202
        (0, 0, 200, -0.0097, 0.0097),
        (2, 0, 2, -0.1930, 1.0),
    ],
)
def test_intervals_of_what_was_lost(lost: int, won: int, of: int, low: float, high: float) -> None:
    assert paired(lost, won, of) == pytest.approx((low, high), abs=1e-4)
    assert paired(won, lost, of) == pytest.approx((-high, -low), abs=1e-4)
