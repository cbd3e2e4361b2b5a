"""Lessons whose answers the student begins and the teacher ends."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from app.errors import StageError
from benchmarks.injection.methods import BEGUN, ENDED, MIXED
from tests.tiny import make_base
from worker.distillation.generation import greedy
from worker.distillation.prompts import student_messages
from worker.distillation.student import Student, new_student
from worker.pairs.passages import Passage
from worker.stages.distil import PROMPT_DISTILLATION, Method
from worker.stages.teaching import Teaching

PASSAGE = Passage("p1", "doc_1", "The Hollin Museum", None, *["Ada Pellrow founded the Hollin Museum in 1962."] * 2)
ASKED = "Who founded the Hollin Museum?"


def pair(answer: str, sampled: bool, quoted: bool = False) -> dict[str, Any]:
    return {"question": ASKED, "answer": answer, "sampled": sampled, "quoted": quoted, "passage_id": PASSAGE.id}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def student(base: Path) -> Student:
    """A student whose adapter changes what it says."""
    made = new_student(base, 4, 0, torch.device("cpu"), torch.float32)
    for name, weight in made.trained_parameters().items():
        if "lora_B" in name:
            weight.data.fill_(0.5)
    return made


def test_the_student_begins_and_the_teacher_ends_what_was_sampled(student: Student, base: Path) -> None:
    teaching = Teaching([PASSAGE], base)
    pairs = [pair("Ada Pellrow.", sampled=False), pair("Ada.", sampled=True), pair("Ada P.", sampled=True)]
    pairs.append(pair("Ada.", sampled=True, quoted=True))
    closed = student.renderer.prompt(student_messages(ASKED))
    opened = student.renderer.prompt(teaching.messages(PASSAGE.id, ASKED))
    with student.as_base():
        (begun,) = greedy(student, [closed], BEGUN)
        (rest,) = greedy(student, [(*opened, *begun.tokens)], 8)
    plain = PROMPT_DISTILLATION.lessons(student, pairs, teaching)
    student.end_tokens = [next(token for token in rest.tokens if token not in begun.tokens)]

    mixed = MIXED.lessons(student, pairs, teaching)
    with student.as_base():
        (ended,) = greedy(student, [(*opened, *begun.tokens)], ENDED)
    assert mixed[1].question == ASKED
    assert mixed[1].answer == (*begun.tokens, *ended.tokens)
    assert len(mixed[1].target) == len(mixed[1].answer)
    for place in (0, 2, 3):
        assert mixed[place].answer == plain[place].answer
        assert torch.equal(mixed[place].target, plain[place].target)


def test_an_answer_that_does_not_end_stays_the_sampled_one(student: Student, base: Path) -> None:
    student.end_tokens = []
    teaching = Teaching([replace(PASSAGE)], base)
    pairs = [pair("Ada.", sampled=True)]
    (lesson,) = MIXED.lessons(student, pairs, teaching)
    (plain,) = PROMPT_DISTILLATION.lessons(student, pairs, teaching)
    assert lesson.answer == plain.answer
    assert torch.equal(lesson.target, plain.target)


def test_where_none_is_sampled_none_can_be_mixed(student: Student, base: Path) -> None:
    with pytest.raises(StageError, match="answers_per_question"):
        MIXED.lessons(student, [pair("Ada.", sampled=False)], Teaching([PASSAGE], base))


@pytest.mark.parametrize("method", [PROMPT_DISTILLATION, MIXED])
def test_a_teacher_at_another_temperature_has_its_logits_divided_by_it(
    student: Student, base: Path, method: Method
) -> None:
    pairs = [pair("Ada Pellrow.", sampled=False), pair("Ada.", sampled=True)]
    student.end_tokens = [student.renderer.end, *range(100)]  # so that what is mixed ends soon
    plain, sharp = (method.lessons(student, pairs, Teaching([PASSAGE], base, share)) for share in (1.0, 0.5))
    for lesson, sharpened in zip(plain, sharp, strict=True):
        assert sharpened.answer == lesson.answer
        wanted = (lesson.target @ student.head_VD.T).softmax(-1) ** 2
        torch.testing.assert_close(
            (sharpened.target @ student.head_VD.T).softmax(-1), wanted / wanted.sum(-1, keepdim=True)
        )
