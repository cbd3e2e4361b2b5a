"""Which of the old lessons an epoch goes over beside the new ones: knowledge that is not rehearsed is lost."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

_Pair = TypeVar("_Pair")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The old lessons of a training stand behind the new ones, and take turns.

    Attributes:
        lessons: how many of the training's lessons are old ones.
        an_epoch: how many of them each epoch has.
    """

    lessons: int = 0
    an_epoch: int = 0

    def size(self, total: int) -> int:
        """How many of `total` lessons an epoch has."""
        return total - self.lessons + self.an_epoch

    def order(self, total: int, seed: int, epoch: int) -> list[int]:
        """The lessons of an epoch, by their places among `total`, in random order."""
        new = total - self.lessons
        turns = [new + (epoch * self.an_epoch + turn) % self.lessons for turn in range(self.an_epoch)]
        order = [*range(new), *turns]
        random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - repeatable on purpose
        return order


def choose(
    old: Sequence[_Pair], new: int, ratio: float | None, epochs: int, seed: int
) -> tuple[list[_Pair], Rehearsal]:
    """The old pairs that a training goes over, and how.

    Args:
        old: all that could be rehearsed.
        new: how many new pairs there are.
        ratio: at most so many old pairs an epoch for each new one; None: all of them, each epoch.
        epochs: over which the old pairs spread: each is taken once before any is taken again.
        seed: of which they are, where they are too many for all epochs.
    """
    an_epoch = len(old) if ratio is None else min(len(old), round(ratio * new))
    many = min(len(old), an_epoch * epochs)
    chosen = random.Random(f"rehearsal/{seed}").sample(list(old), many)  # noqa: S311 - repeatable on purpose
    return chosen, Rehearsal(many, an_epoch)
