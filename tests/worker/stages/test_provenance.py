"""The loss curve of a report, and the versions of what made it."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from worker.stages.provenance import MOST_POINTS, losses, thinned, versions


def test_few_losses_are_kept_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "training.json"
    file.write_text(json.dumps({"loss": [[1, 0.5, 0.0], [2, 0.25, 0.125]]}))
    assert losses(file) == [(1, 0.5, 0.0), (2, 0.25, 0.125)]


@pytest.mark.parametrize("steps", [MOST_POINTS + 1, 999, 12_345])
def test_many_losses_become_means_of_runs(steps: int) -> None:
    history = [(step, 1 / step, 2.0) for step in range(1, steps + 1)]
    points = thinned(history)
    assert len(points) == MOST_POINTS
    assert points[-1][0] == steps
    assert [step for step, _, _ in points] == sorted({step for step, _, _ in points})
    assert points[0][1] == pytest.approx(sum(1 / step for step in range(1, points[0][0] + 1)) / points[0][0], abs=1e-5)
    assert {kept for _, _, kept in points} == {2.0}


def test_versions_are_those_that_are_installed() -> None:
    assert versions()["peft"] == version("peft")
    assert set(versions()) == {"ingrain", "torch", "transformers", "peft"}
