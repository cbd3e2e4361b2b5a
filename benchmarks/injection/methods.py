"""The methods: which model answers, and what is in its prompt."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import torch

from benchmarks.injection.objectives import cross_entropy
from worker.distillation import training
from worker.distillation.student import Student
from worker.stages.distil import PROMPT_DISTILLATION, Method
from worker.stages.teaching import Teaching


class Reading(StrEnum):
    """What is put before the question."""

    NOTHING = "nothing"
    ITS_PASSAGE = "its passage"
    FOUND = "passages found"


@dataclass(frozen=True, slots=True)
class Way:
    """A way of giving the model the knowledge.

    Attributes:
        adapter: how the adapter that answers was trained; None: the base model answers.
        reading: what it reads with the question.
        meaning: in words.
    """

    adapter: Method | None
    reading: Reading
    meaning: str


def _imitation(student: Student, pairs: list[dict[str, Any]], teaching: Teaching) -> list[training.Lesson]:
    """Each pair with its answer as the target, token by token."""
    del teaching
    answers = [student.renderer.answer(pair["answer"]) for pair in pairs]
    return [
        training.Lesson(pair["question"], answer, torch.tensor(answer))
        for pair, answer in zip(pairs, answers, strict=True)
    ]


FINE_TUNING: Final = Method("supervised fine-tuning", _imitation, cross_entropy)

WAYS: Final = {
    "base": Way(None, Reading.NOTHING, "the base model, closed-book"),
    "oracle": Way(None, Reading.ITS_PASSAGE, "the base model with the right passage in its prompt"),
    "rag": Way(None, Reading.FOUND, "the base model with retrieved passages in its prompt"),
    "sft": Way(FINE_TUNING, Reading.NOTHING, "an adapter trained on the pairs by cross-entropy, closed-book"),
    "pd": Way(PROMPT_DISTILLATION, Reading.NOTHING, "an adapter trained by prompt distillation, closed-book"),
    "pd+rag": Way(PROMPT_DISTILLATION, Reading.FOUND, "that adapter with retrieved passages in its prompt"),
}
