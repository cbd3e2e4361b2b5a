"""Taking a trained adapter back towards the base model, as far as a limit on its drift asks.

An adapter drifts more on other prompts than on those that training holds in place. A line leads from what was trained
back to the base model, and most of what was learnt outlasts the first part of the way: "Robust fine-tuning of zero-shot
models" (Wortsman et al., arXiv 2109.01903). An adapter is the difference from the base model, so that here the line is
a factor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from worker.distillation import drift
from worker.distillation.retention import Kept
from worker.distillation.student import Student
from worker.distillation.training import TrainingFailed

HALVINGS: Final = 7
"""Of the interval in which the share lies: it is found to within a hundredth."""


@dataclass(frozen=True, slots=True)
class Weakened:
    """What was left of an adapter.

    Attributes:
        share: of what was trained, from 0 to 1.
        drift: on the unseen prompts, in nats a token, with the share that is left.
        drift_whole: the same with all of it.
    """

    share: float
    drift: float
    drift_whole: float


@torch.no_grad()
def weaken(student: Student, unseen: Sequence[Kept], max_drift: float) -> Weakened:
    """Leave of the student's adapter the largest share that drifts by at most `max_drift`, to within a hundredth.

    The drift is taken to grow with the share.

    Args:
        student: changed in place.
        unseen: prompts that training did not go over, at least one.
        max_drift: mean KL from the base model, in nats a token.

    Raises:
        TrainingFailed: its drift is not a number, or no hundredth of it is within the limit.
    """
    whole = {name: weight.clone() for name, weight in student.trained_parameters().items() if "lora_B" in name}
    student.model.eval()

    def drift_at(share: float) -> float:
        _leave(student, whole, share)
        return drift.measure(student, unseen).nats

    drift_whole = drift_at(1.0)
    if not math.isfinite(drift_whole):
        raise TrainingFailed(f"The drift of the adapter is {drift_whole}. Lower learning_rate.")
    if drift_whole <= max_drift:
        return Weakened(1.0, drift_whole, drift_whole)
    share, left, beyond = 0.0, 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (share + beyond) / 2
        drifted = drift_at(middle)
        if drifted <= max_drift:
            share, left = middle, drifted
        else:
            beyond = middle
    if share == 0.0:
        raise TrainingFailed(
            f"The adapter drifts by {drift_whole:.3g} nats a token, and no part of it by as little as max_drift "
            f"({max_drift}). Set max_drift higher, or learning_rate lower."
        )
    _leave(student, whole, share)
    return Weakened(share, left, drift_whole)


def _leave(student: Student, whole: dict[str, Tensor], share: float) -> None:
    weights = student.trained_parameters()
    for name, weight in whole.items():
        weights[name].copy_(weight * share)
