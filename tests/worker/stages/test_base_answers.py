"""The base model's answers are computed once on a machine, for each base model and what it is asked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tiny import make_base
from tests.worker.stages.made_inputs import stage_inputs
from worker.distillation.generation import Answer, answers_to
from worker.distillation.student import Student, new_student
from worker.stages import StageInputs, base_answers

QUESTIONS = ("What is the capital of France?", "How many days are in a week?")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def inputs(base: Path, tmp_path: Path) -> StageInputs:
    return stage_inputs(base, "http://127.0.0.1:1", tmp_path)


@pytest.fixture
def student(base: Path) -> Student:
    """A student whose adapter changes what it says."""
    made = new_student(base, rank=4, seed=0, device=torch.device("cpu"), dtype=torch.float32)
    for name, weight in made.trained_parameters().items():
        if "lora_B" in name:
            weight.data.fill_(0.5)
    return made


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers were computed, call by call."""
    counted: list[int] = []

    def answers(student: Student, questions: Sequence[str], most_tokens: int) -> list[Answer]:
        counted.append(len(questions))
        return answers_to(student, questions, most_tokens)

    monkeypatch.setattr(base_answers, "answers_to", answers)
    return counted


def test_they_are_the_base_models_and_computed_once(inputs: StageInputs, student: Student, computed: list[int]) -> None:
    first = base_answers.base_answers(student, inputs, QUESTIONS, 5)
    assert base_answers.base_answers(student, inputs, QUESTIONS, 5) == first
    assert computed == [2]
    with student.as_base():
        assert answers_to(student, QUESTIONS, 5) == first
    assert answers_to(student, QUESTIONS, 5) != first


def test_another_revision_question_or_length_is_answered_for_itself(
    inputs: StageInputs, student: Student, computed: list[int]
) -> None:
    base_answers.base_answers(student, inputs, QUESTIONS, 5)
    base_answers.base_answers(student, replace(inputs, base_revision="b" * 40), QUESTIONS, 5)
    base_answers.base_answers(student, inputs, QUESTIONS[:1], 5)
    (longer, _) = base_answers.base_answers(student, inputs, QUESTIONS, 6)
    assert computed == [2, 2, 1, 2]
    assert len(longer.tokens) == 6
