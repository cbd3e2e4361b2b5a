"""The base model's answers are computed once on a machine, for each base model and what it is asked."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from worker.distillation.generation import Answer, answers_to
from worker.distillation.student import Student
from worker.stages import StageInputs, base_answers

QUESTIONS = ("What is the capital of France?", "How many days are in a week?")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers were computed, call by call."""
    counted: list[int] = []

    def answers(student: Student, questions: Sequence[str], most_tokens: int) -> list[Answer]:
        counted.append(len(questions))
        return answers_to(student, questions, most_tokens)

    monkeypatch.setattr(base_answers, "answers_to", answers)
    return counted


def test_they_are_the_base_models_and_computed_once(
    idle_inputs: StageInputs, changed: Student, computed: list[int]
) -> None:
    first = base_answers.base_answers(changed, idle_inputs, QUESTIONS, 5)
    assert base_answers.base_answers(changed, idle_inputs, QUESTIONS, 5) == first
    assert computed == [2]
    with changed.as_base():
        assert answers_to(changed, QUESTIONS, 5) == first
    assert answers_to(changed, QUESTIONS, 5) != first


def test_another_revision_question_or_length_is_answered_for_itself(
    idle_inputs: StageInputs, changed: Student, computed: list[int]
) -> None:
    base_answers.base_answers(changed, idle_inputs, QUESTIONS, 5)
    base_answers.base_answers(changed, replace(idle_inputs, base_revision="b" * 40), QUESTIONS, 5)
    base_answers.base_answers(changed, idle_inputs, QUESTIONS[:1], 5)
    (longer, _) = base_answers.base_answers(changed, idle_inputs, QUESTIONS, 6)
    assert computed == [2, 2, 1, 2]
    assert len(longer.tokens) == 6


def test_who_takes_more_of_the_same_questions_computes_but_the_rest(
    idle_inputs: StageInputs, changed: Student, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_answers, "PART", 1)
    first = base_answers.base_answers(changed, idle_inputs, QUESTIONS[:1], 5)
    both = base_answers.base_answers(changed, idle_inputs, QUESTIONS, 5)
    assert computed == [1, 1]
    assert both[:1] == first
    with changed.as_base():
        assert [answer.text for answer in both] == [answer.text for answer in answers_to(changed, QUESTIONS, 5)]


def test_what_cannot_be_read_is_made_anew(
    idle_inputs: StageInputs, changed: Student, computed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    first = base_answers.base_answers(changed, idle_inputs, QUESTIONS, 5)
    (file,) = (idle_inputs.cache / "base_answers").iterdir()
    for damaged in ("[{", '[{"text": "of another release"}]', '{"a": 1}'):
        file.write_text(damaged)
        assert base_answers.base_answers(changed, idle_inputs, QUESTIONS, 5) == first
    assert computed == [2, 2, 2, 2]
    assert caplog.text.count("cannot be read") == 3


def test_nothing_asked_leaves_nothing(idle_inputs: StageInputs, changed: Student) -> None:
    assert base_answers.base_answers(changed, idle_inputs, [], 5) == []
    assert not (idle_inputs.cache / "base_answers").exists()
