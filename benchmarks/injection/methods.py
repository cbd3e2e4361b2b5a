"""The methods: which model answers, and what is in its prompt."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import torch

from app.errors import StageError
from benchmarks.injection.objectives import cross_entropy
from worker.distillation import teacher, training
from worker.distillation.generation import greedy
from worker.distillation.packing import Exchange
from worker.distillation.prompts import student_messages
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


def _mixed(student: Student, pairs: list[dict[str, Any]], teaching: Teaching) -> list[training.Lesson]:
    """As prompt distillation, but the first sampled answer to each question is one that the student begins,
    closed-book and before any training, and that the teacher, who reads the passage, ends.

    A short form of mixed rollouts, which go on throughout the training: it shows whether the student profits from what
    the teacher thinks after the student's own first words. An answer that does not end stays the sampled one.

    Raises:
        StageError: no answer is sampled.
    """
    lessons = PROMPT_DISTILLATION.lessons(student, pairs, teaching)
    first: dict[str, int] = {}
    for place, pair in enumerate(pairs):
        if pair["sampled"] and not pair["quoted"]:
            first.setdefault(pair["question"], place)
    if not first:
        raise StageError("No answer is sampled, so none can be mixed: set answers_per_question to 2 or more.")
    places = list(first.values())
    chats = [teaching.messages(pairs[place]["passage_id"], pairs[place]["question"]) for place in places]
    opened = [student.renderer.prompt(chat) for chat in chats]
    closed = [student.renderer.prompt(student_messages(pairs[place]["question"])) for place in places]
    with student.as_base():
        begun = [answer.tokens[: len(answer.tokens) - answer.is_finished] for answer in greedy(student, closed, BEGUN)]
        ended = greedy(student, [(*prompt, *start) for prompt, start in zip(opened, begun, strict=True)], ENDED)
    exchanges = {
        place: Exchange(tuple(prompt), (*start, *rest.tokens))
        for place, prompt, start, rest in zip(places, opened, begun, ended, strict=True)
        if rest.is_finished
    }
    targets = teacher.targets(student, list(exchanges.values()), temperature=teaching.temperature)
    for (place, exchange), target in zip(exchanges.items(), targets, strict=True):
        lessons[place] = replace(lessons[place], answer=exchange.answer, target=target)
    return lessons


FINE_TUNING: Final = Method("supervised fine-tuning", _imitation, cross_entropy)
MIXED: Final = replace(PROMPT_DISTILLATION, name="mixed", lessons=_mixed)
BEGUN: Final = 4  # tokens that the student begins with
ENDED: Final = 64  # at most, that the teacher ends with

WAYS: Final = {
    "base": Way(None, Reading.NOTHING, "the base model, closed-book"),
    "oracle": Way(None, Reading.ITS_PASSAGE, "the base model with the right passage in its prompt"),
    "rag": Way(None, Reading.FOUND, "the base model with retrieved passages in its prompt"),
    "sft": Way(FINE_TUNING, Reading.NOTHING, "an adapter trained on the pairs by cross-entropy, closed-book"),
    "pd": Way(PROMPT_DISTILLATION, Reading.NOTHING, "an adapter trained by prompt distillation, closed-book"),
    "pd+rag": Way(PROMPT_DISTILLATION, Reading.FOUND, "that adapter with retrieved passages in its prompt"),
}
