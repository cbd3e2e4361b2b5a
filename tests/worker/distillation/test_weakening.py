"""An adapter that drifts further than it may: as much of it is left as stays within the limit."""

from pathlib import Path

import pytest
import torch

from tests.worker.distillation.test_training import PLAN, fresh, kept_of, lessons_of
from worker.distillation import drift, retention
from worker.distillation.generation import answers_to
from worker.distillation.retention import Kept
from worker.distillation.student import Student
from worker.distillation.training import TrainingFailed, train
from worker.distillation.weakening import weaken


@pytest.fixture
def taught(tiny_model: Path) -> Student:
    student = fresh(tiny_model)
    train(student, lessons_of(student), kept_of(student), PLAN)
    return student


def unseen_by(student: Student) -> list[Kept]:
    questions = ["What is a lake?", "Who are you?"]
    with student.as_base():
        return retention.keep(student, questions, answers_to(student, questions, retention.MOST_TOKENS))


def weights_of(student: Student) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in student.trained_parameters().items()}


@pytest.mark.parametrize("part", [2, 3, 5, 9])
def test_the_largest_share_within_the_limit_is_left(taught: Student, part: int) -> None:
    unseen, before = unseen_by(taught), weights_of(taught)
    whole = drift.measure(taught, unseen).nats
    limit = whole / part
    left = weaken(taught, unseen, limit)
    assert left.drift_whole == pytest.approx(whole)
    assert 0 < left.share < 1
    assert drift.measure(taught, unseen).nats == left.drift <= limit
    for name, weight in taught.trained_parameters().items():
        assert torch.equal(weight, before[name] * left.share if "lora_B" in name else before[name])
        weight.data = before[name] * (left.share + 0.01) if "lora_B" in name else before[name]
    assert drift.measure(taught, unseen).nats > limit, "a hundredth more is beyond it"


def test_an_adapter_within_the_limit_is_left_as_it_is(taught: Student) -> None:
    unseen, before = unseen_by(taught), weights_of(taught)
    left = weaken(taught, unseen, drift.measure(taught, unseen).nats)
    assert (left.share, left.drift) == (1.0, left.drift_whole)
    assert all(torch.equal(weight, before[name]) for name, weight in taught.trained_parameters().items())


def test_an_adapter_of_which_nothing_may_be_left_fails(taught: Student) -> None:
    with pytest.raises(TrainingFailed, match="max_drift"):
        weaken(taught, unseen_by(taught), 1e-12)


def test_a_drift_that_is_no_number_fails(taught: Student) -> None:
    for weight in taught.trained_parameters().values():
        weight.data.fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="Lower learning_rate"):
        weaken(taught, unseen_by(taught), 0.1)
