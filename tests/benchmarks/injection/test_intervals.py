import math

import numpy as np
import pytest

from benchmarks.injection.intervals import Estimate, difference, estimate, gained, lost_points, recovered


def test_the_value_is_the_mean_over_questions_and_the_interval_is_the_bootstraps() -> None:
    chance = np.random.default_rng(1)
    scores = [[float(value)] for value in chance.integers(0, 2, 400)]
    found = estimate([[scores]])
    mean = np.mean([score for (score,) in scores])
    half = 1.96 * np.sqrt(mean * (1 - mean) / 400)
    assert found.value == pytest.approx(mean)
    assert found.low == pytest.approx(mean - half, abs=0.01)
    assert found.high == pytest.approx(mean + half, abs=0.01)
    assert estimate([[scores]]) == found


def test_passages_are_drawn_whole() -> None:
    alike = [[[1.0] * 10 if place % 2 else [0.0] * 10 for place in range(40)]]
    alone = [[[score] for passage in alike[0] for score in passage]]
    assert estimate([alike]).high - estimate([alike]).low > 2 * (estimate([alone]).high - estimate([alone]).low)


def test_seeds_are_drawn_too() -> None:
    far_apart = [[[1.0]] * 20, [[0.0]] * 20]
    found = estimate([far_apart])
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)


def test_differences_are_paired() -> None:
    one = [[[float(place % 2)] for place in range(50)], [[float(place % 3 == 0)] for place in range(50)]]
    better = [[[score + 0.1] for (score,) in seed] for seed in one]
    found = estimate([better, one], difference)
    assert (found.low, found.value, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_share_recovered_is_undefined_where_the_teacher_knows_no_more() -> None:
    base, teacher, student = [[[0.0]] * 4], [[[1.0], [1.0], [0.0], [0.0]]], [[[1.0], [0.0], [0.0], [0.0]]]
    assert estimate([student, base, teacher], recovered).value == pytest.approx(0.5)
    nothing = estimate([base, base, base], recovered)
    assert math.isnan(nothing.value)
    assert nothing.as_json() == {"value": None, "low": None, "high": None}


def test_lost_points_have_a_paired_interval_that_more_seeds_do_not_narrow() -> None:
    found = {"prompts": 200, "base_right": 100, "adapter_right": 96, "lost_points": 2.0, "lost": [{}] * 17}
    one = lost_points([found])
    assert (one.value, one.low, one.high) == pytest.approx((2.0, -3.42, 7.38), abs=0.01)
    assert lost_points([found, found]) == one
    other = lost_points([found, {**found, "adapter_right": 104, "lost_points": -2.0, "lost": [{}] * 13}])
    assert (other.value, other.low, other.high) == pytest.approx((0.0, -5.40, 5.40), abs=0.01)
    assert gained(one) == "-2.0 (-7.4 to +3.4)"
    assert gained(Estimate(0.0, -1.0, 2.0)) == "+0.0 (-2.0 to +1.0)"
