"""Which old lessons an epoch has."""

import pytest

from worker.distillation.rehearsal import Rehearsal, choose


def test_an_epoch_has_all_that_is_new_and_the_old_ones_take_turns() -> None:
    turns = Rehearsal(lessons=4, an_epoch=2)
    epochs = [turns.order(7, seed=0, epoch=epoch) for epoch in range(4)]
    assert [len(epoch) for epoch in epochs] == [turns.size(7)] * 4 == [5] * 4
    assert all({0, 1, 2} < {*epoch} for epoch in epochs)
    assert [sorted(epoch)[3:] for epoch in epochs] == [[3, 4], [5, 6], [3, 4], [5, 6]]
    assert epochs[0] != sorted(epochs[0])
    assert epochs[0] != epochs[2], "the order is another one each epoch"
    assert epochs[0] == turns.order(7, seed=0, epoch=0), "and the same one after a kill"


def test_without_a_parent_an_epoch_is_all_lessons() -> None:
    assert sorted(Rehearsal().order(5, seed=1, epoch=2)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ratio", "chosen", "an_epoch"),
    [(0, 0, 0), (0.5, 15, 5), (2, 40, 20), (100, 40, 40), (None, 40, 40)],
)
def test_old_pairs_are_bounded_by_the_new_ones(ratio: float | None, chosen: int, an_epoch: int) -> None:
    old = [f"old {number}" for number in range(40)]
    pairs, turns = choose(old, new=10, ratio=ratio, epochs=3, seed=0)
    assert (len(pairs), turns.lessons, turns.an_epoch) == (chosen, chosen, an_epoch)
    assert len({*pairs}) == chosen
    assert {*pairs} <= {*old}


def test_the_seed_decides_which_old_pairs() -> None:
    old = list(range(100))
    first, again, other = (choose(old, 10, 1.0, epochs=1, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other
