import pytest

from app.intervals import wilson


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
