import os

import pytest

from worker.cores import usable_cores


@pytest.mark.parametrize(("asked", "used"), [("1", 1), ("4000", 0), ("", 0), ("0", 0), ("2,1", 0)])
def test_no_more_than_are_asked_for_or_there(monkeypatch: pytest.MonkeyPatch, asked: str, used: int) -> None:
    """`used` 0: all that there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert usable_cores() == (used or len(os.sched_getaffinity(0)))
