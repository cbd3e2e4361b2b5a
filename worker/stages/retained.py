"""What the adapter still knows of what the base model knows: the report's section `retention`."""

from collections.abc import Callable
from typing import Any

from app.grading import is_right
from worker.distillation import drift, general, retention
from worker.distillation.generation import answers_to
from worker.distillation.student import Student
from worker.stages import StageInputs
from worker.stages.base_answers import base_answers

STEPS = 3
"""How often `measure` tells that a part is done."""


def measure(student: Student, inputs: StageInputs, tell: Callable[[int], None]) -> dict[str, Any]:
    """The general questions put to the base model and to the adapter, and the drift on unrelated prompts.

    Returns:
        prompts: how many general questions there are.
        base_right, adapter_right, base_accuracy, adapter_accuracy: what of them each answers right.
        lost_points: by how many percentage points the adapter is worse; negative where it is better.
        drift: `nats`, the mean KL from the base model of a token; `same_first_choice`, the share of tokens at which
            both think the same likeliest; over how many `tokens` of the base model's answers to how many `prompts`.
        lost: each question that the base model has right and the adapter has wrong, with both answers.
    """
    asked = general.questions()
    questions = [each.question for each in asked]
    base = [answer.text for answer in base_answers(student, inputs, questions, general.ANSWER_TOKENS)]
    tell(1)
    adapter = [answer.text for answer in answers_to(student, questions, general.ANSWER_TOKENS)]
    tell(2)
    base_right, adapter_right = _graded(base, asked), _graded(adapter, asked)
    prompts = retention.prompts("drift")
    unrelated = retention.keep(student, prompts, base_answers(student, inputs, prompts, retention.MOST_TOKENS))
    moved = drift.measure(student, unrelated)
    tell(3)
    return {
        "prompts": len(asked),
        "base_right": sum(base_right),
        "adapter_right": sum(adapter_right),
        "base_accuracy": round(sum(base_right) / len(asked), 4),
        "adapter_accuracy": round(sum(adapter_right) / len(asked), 4),
        "lost_points": round(100 * (sum(base_right) - sum(adapter_right)) / len(asked), 2),
        "drift": {
            "nats": round(moved.nats, 5),
            "same_first_choice": round(moved.same_first_choice, 4),
            "tokens": moved.tokens,
            "prompts": len(unrelated),
        },
        "lost": [
            {"question": each.question, "base": base[index], "adapter": adapter[index]}
            for index, each in enumerate(asked)
            if base_right[index] and not adapter_right[index]
        ],
    }


def _graded(answers: list[str], asked: tuple[general.Question, ...]) -> list[bool]:
    return [is_right(said, each.accepted) for said, each in zip(answers, asked, strict=True)]
