"""What the adapter still knows of what the base model knows: the report's section `retention`.

The base model's answers are the same for every job on it, so they are kept on this machine and computed once.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.grading import is_right
from worker.distillation import drift, general, retention
from worker.distillation.student import Student
from worker.stages import StageInputs

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
    base = _base_answers(student, inputs, asked)
    tell(1)
    adapter = general.answers(student, asked)
    tell(2)
    base_right, adapter_right = _graded(base, asked), _graded(adapter, asked)
    unrelated = retention.keep(student, list(retention.prompts("drift")))
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


def _base_answers(student: Student, inputs: StageInputs, asked: tuple[general.Question, ...]) -> list[str]:
    """The base model's answers, from the cache or into it. Jobs that compute them at once write the same file."""
    questions = [each.question for each in asked]
    made_by = [inputs.base_revision, student.device.type, str(student.head_VD.dtype), general.ANSWER_TOKENS, questions]
    name = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()
    file = inputs.cache / "general_answers" / f"{name}.json"
    if file.is_file():
        kept: list[str] = json.loads(file.read_text(encoding="utf-8"))
        return kept
    with student.as_base():
        said = general.answers(student, asked)
    _write_whole(file, json.dumps(said, ensure_ascii=False))
    return said


def _write_whole(file: Path, text: str) -> None:
    """Write it whole or not at all, whoever else writes it meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as partial:
        partial.write(text)
    Path(partial.name).replace(file)
