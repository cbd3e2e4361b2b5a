"""Where the loss curve's marks go."""

import pytest

from app.adapters.plots import loss_curve
from app.adapters.report_schemas import LossPoint


def points(*losses: tuple[int, float, float]) -> list[LossPoint]:
    return [LossPoint(step=step, distil=distil, retention=kept) for step, distil, kept in losses]


def test_a_curve_runs_from_edge_to_edge() -> None:
    curve = loss_curve(points((1, 1.6, -0.0), (51, 0.4, 0.2), (101, 0.0, 0.1)))
    assert curve is not None
    assert curve.distil == "0.0,20.0 50.0,80.0 100.0,100.0"
    assert curve.retention == "0.0,100.0 50.0,90.0 100.0,95.0"
    assert [(tick.at, tick.label) for tick in curve.steps] == [(0, "1"), (50, "51"), (100, "101")]
    assert [(tick.at, tick.label) for tick in curve.nats] == [
        (0, "0"),
        (25, "0.5"),
        (50, "1"),
        (75, "1.5"),
        (100, "2"),
    ]


def test_what_was_not_kept_has_no_line() -> None:
    curve = loss_curve(points((1, 1.0, 0.0), (2, 0.5, 0.0)))
    assert curve is not None
    assert curve.retention == ""
    assert [tick.label for tick in curve.steps] == ["1", "2"]


@pytest.mark.parametrize("few", [[], [(1, 0.5, 0.0)]])
def test_a_single_point_is_no_curve(few: list[tuple[int, float, float]]) -> None:
    assert loss_curve(points(*few)) is None


@pytest.mark.parametrize("highest", [0.0, 1e-5, 0.0301, 0.9, 1.0, 3.0, 17.0, 24000.0])
def test_ticks_are_few_and_reach_above_the_highest_loss(highest: float) -> None:
    curve = loss_curve(points((1, highest, 0.0), (2, 0.0, 0.0)))
    assert curve is not None
    labels = [float(tick.label) for tick in curve.nats]
    assert labels == sorted(set(labels))
    assert 2 <= len(labels) <= 6
    assert labels[-1] >= highest
    assert (curve.nats[0].at, curve.nats[-1].at) == (0, 100)
